"""Parameters of notebooks: what stands in their cell, or what papermill's `-p` hands over as text, put into a profile."""

from __future__ import annotations

import yaml
from pydantic import BaseModel, ValidationError

from srlab.errors import InputError, explain
from srlab.study.profiles import Profile


def read(value: object) -> object:
    """A parameter as it is meant: text is read as YAML, as "[16, 64]" and "null" of a shell are.

    Raises
    ------
    InputError
        If it is text and no YAML.
    """
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"parameter '{value}' is no YAML: {' '.join(str(error).split())}") from None


def varied(profile: Profile, **parameters: object) -> Profile:
    """The profile with these fields of it otherwise; itself where all are None.

    Parameters
    ----------
    profile : Profile
    **parameters
        By the names of fields; None leaves one as it is, a single value stands for a list of it, a dict holds fields of
        a field, such as `timing={"sizes": [32]}`.

    Raises
    ------
    InputError
        If a value is not allowed, or one is None of which the profile has nothing.
    """
    told = {}
    for name, parameter in parameters.items():
        own = getattr(profile, name)
        if isinstance(parameter, dict):
            fields = {key: value for key, each in parameter.items() if (value := read(each)) is not None}
            value = (own.model_dump() if isinstance(own, BaseModel) else {}) | fields if fields else None
        else:
            value = read(parameter)
        if value is not None:
            told[name] = (value,) if isinstance(own, tuple) and not isinstance(value, list | tuple) else value
        elif not own:
            raise InputError(
                f"profile '{profile.name}' has no '{name}': give some in the notebook's first cell of code, or choose "
                f"another profile"
            )
    if not told:
        return profile
    try:
        return Profile(**profile.model_dump() | told)
    except ValidationError as error:
        raise InputError(explain(error, f"profile '{profile.name}' with {', '.join(told)} of your own")) from None
