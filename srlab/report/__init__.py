"""Pages: executed notebooks, the index, the report, the explorer, and the trace of a run."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"code": ["code"], "index": ["write_index", "write_report"]}
)
