"""The parts of a manifest that every kind of policy shares."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

ApiVersion = Annotated[Literal["rescue.ksyun.com/v1"], Field(alias="apiVersion", description="rescue.ksyun.com/v1")]


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name that Kubernetes takes; use small letters, digits, '-' and '.'")
    return name


class Metadata(BaseModel):
    """Kubernetes' own part of a manifest: all that an API server adds to it is taken, only the name is used."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[str, AfterValidator(_name)] = Field(description="The policy's name; ties are decided by it.")
