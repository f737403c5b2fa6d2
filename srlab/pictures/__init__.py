"""People's pictures: read with all that they carry, enlarged, compared."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "comparing": ["compare", "open_contenders"],
        "files": ["read_picture", "write_picture"],
        "upscaling": ["upscale_files"],
    },
)
