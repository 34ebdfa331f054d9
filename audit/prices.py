# SPDX-License-Identifier: Apache-2.0
"""What generators cost, as the user states it: in the audit file, or in a file that several audits share.

``python -m audit.prices`` brings the JSON schema of such files up to date.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audit.documents import Document, explain, read_document
from audit.errors import ConfigError

__all__ = ["Price", "PriceList", "json_schema", "load_prices"]

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(pattern=r"\S")]
_WAYS = ("per_image", "per_hour", "per_kwh")


class Price(BaseModel):
    """The price of one generator, in one of three ways."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_image: Amount | None = Field(None, description="Of one image")
    per_hour: Amount | None = Field(None, description="Of the machine; all processes that draw on it share an hour")
    per_kwh: Amount | None = Field(None, description="Of the energy that the machine measures while it draws")

    @model_validator(mode="after")
    def _one_way(self) -> Price:
        given = [way for way in _WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            raise ValueError(f"needs one of {', '.join(_WAYS)}, and one only")
        return self

    @property
    def way(self) -> str:
        """Which of the three it is."""
        return next(way for way in _WAYS if getattr(self, way) is not None)

    @property
    def amount(self) -> float:
        """The number, in the currency of the list."""
        return float(getattr(self, self.way))


class PriceList(BaseModel):
    """Prices with where they come from."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal[1] = Field(1, alias="schema", description="Version of this format")
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217, e.g. EUR")
    source: Text = Field(description="Price list, invoice or contract, in words")
    date: dt.date = Field(description="Day on which these prices held")
    generators: dict[str, Price] = Field(min_length=1, description="By name in the audit file")

    @property
    def digest(self) -> str:
        """Sha256 (hex) over all that the list says, independent of layout and comments."""
        said = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()


def load_prices(given: str | PriceList, *, generators: Mapping[str, str]) -> PriceList:
    """The price list that an audit names or holds; the price of a sweep is that of each of its points.

    Args:
        given: path of a YAML file, or the list itself.
        generators: names of all generators, each with that of its block in the audit file.

    Raises:
        ConfigError: no such file, a wrong key or value, or a price for a generator that is not in the audit file.
    """
    document: Document | None = None
    if isinstance(given, str):
        document = read_document(Path(given), kind="price file")
        try:
            given = PriceList.model_validate(document.data)
        except ValidationError as error:
            raise explain(error, document=document, model=PriceList) from None
    known = list(dict.fromkeys([*generators.values(), *generators]))
    for name in given.generators:
        if name not in known:
            raise _unknown(name, known, document)
    prices = {name: given.generators.get(name) or given.generators.get(block) for name, block in generators.items()}
    return given.model_copy(update={"generators": {name: price for name, price in prices.items() if price}})


def _unknown(name: str, generators: Sequence[str], document: Document | None) -> ConfigError:
    near = difflib.get_close_matches(name, generators, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the audit file has: {', '.join(generators)}"
    where = document.place(("generators", name), key=True) if document else "cost.prices.generators"
    return ConfigError(f"a price for {name!r}, which is no generator of the audit file", where=where, hint=hint)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a price file."""
    schema = PriceList.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "genaudit prices"}


if __name__ == "__main__":
    from audit.paths import data_root

    target = data_root() / "reports" / "schemas" / "prices.schema.json"
    target.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {target}\n")
