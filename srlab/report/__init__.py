"""What a person reads: notebooks, the index and the report, and where a number on them came from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["PAGES", "Page", "pages_of"],
        "code": ["code"],
        "explorer": ["write_explorer"],
        "index": ["write_index"],
        "notebooks": ["execute"],
        "report": ["write_report"],
        "tracing": ["describe", "find_runs", "trace"],
    },
)
