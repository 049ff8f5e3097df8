"""Names of result files."""

from pathlib import PurePath


class ResultNames:
    """A name for each source file: its stem, made longer where two sources share one. No two sources share a name."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self.taken: set[str] = set()

    def __call__(self, path: str) -> str:
        """The name of the results made from ``path``, the same at each call; no separators, no extension."""
        if path not in self.of:
            name = next(n for n in self._candidates(PurePath(path)) if n.casefold() not in self.taken)
            self.of[path] = name
            self.taken.add(name.casefold())  # some file systems do not tell A from a
        return self.of[path]

    def _candidates(self, path: PurePath):
        yield path.stem
        yield path.name.replace(".", "_")
        for depth in range(2, len(path.parts) + 1):
            yield "__".join(part.strip("/\\:") for part in path.with_suffix("").parts[-depth:])
        n = 2
        while True:
            yield f"{path.stem}_{n}"
            n += 1
