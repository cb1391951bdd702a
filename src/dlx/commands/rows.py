"""Rows of numbers typed among options."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand


class Rows(TyperCommand):
    """A command whose arguments may be rows that begin with a negative number or a dash, such as -1.2,0.8, or texts that do."""

    ROW = re.compile(r"-[\d.,].*|-(inf|nan)\b.*|-[^-].*,.*|-(?!-\w[\w-]*=)\S*\s.*", re.DOTALL | re.IGNORECASE)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the arguments behind `--`, where nothing is taken for an option."""
        valued = {o for p in self.params if p.param_type_name == "option" and not p.is_flag for o in p.opts}  # type: ignore[attr-defined]
        options, others, left = list[str](), list[str](), list(args)
        while left and (word := left.pop(0)) != "--":
            if not word.startswith("-") or word == "-" or self.ROW.fullmatch(word):
                others.append(word)
                continue
            options.append(word)
            if word in valued and not left:
                return super().parse_args(ctx, options)  # which tells that the value is missing
            options += [left.pop(0)] if word in valued else []
        return super().parse_args(ctx, [*options, "--", *others, *left])
