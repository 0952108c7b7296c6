"""Write a configuration as YAML that can be read again, with the overrides listed at its top."""

from __future__ import annotations

import yaml

from gantools.config.schema import RunConfig
from gantools.config.source import IMPLICIT_TYPES, Tree


class _Dumper(yaml.SafeDumper):
    """Block style for groups, one line for lists; text that reads as a number in YAML 1.1 or 1.2 is quoted."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name
        first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, []), *IMPLICIT_TYPES.get(first, [])]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *IMPLICIT_TYPES}
    }


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)


def to_yaml(config: RunConfig, tree: Tree) -> str:
    """The whole resolved configuration; comments name the file it came from and every key set outside it."""
    set_elsewhere = [origin for origin in dict.fromkeys(tree.origins.values()) if origin.startswith("command line: ")]
    # repr keeps a comment on its line: a newline or a stray byte in what was typed is escaped.
    header = [f"# {repr(text)[1:-1]}" for text in (f"resolved from {tree.name}", *set_elsewhere)]
    body = yaml.dump(config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return "\n".join(header) + "\n" + body
