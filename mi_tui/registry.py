"""A registry of extensions: named entries, one module each in a package of their own."""

import importlib
import pkgutil
import threading
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from mi_tui.errors import MiTuiError


class UnknownNameError(MiTuiError):
    """A name that no entry of a registry has."""


class Entry(Protocol):
    """What a registry needs of an entry."""

    @property
    def name(self) -> str:
        """The name in presets and on the command line."""

    @property
    def order(self) -> int:
        """The place in lists: lower first, then by name."""


T = TypeVar("T", bound=Entry)


class Registry(Generic[T]):
    """The entries of one kind: a built-in one for each module of ``package``, and installed ones.

    A module adds its entry with :meth:`register` when it is imported. The built-in modules are
    imported at the first question, so that an import of the registry alone loads none of them.
    Other distributions add theirs through an entry point of the group ``package``; these are
    imported when a name is not built in, or when all are listed.

    Args:
        package: the dotted name of the package that holds the built-in modules.
        noun: what an entry is called in errors, such as ``merge method``.
    """

    def __init__(self, package: str, noun: str) -> None:
        self._package = package
        self._noun = noun
        self._entries: dict[str, T] = {}
        self._loading = threading.RLock()  # a second thread waits until all are there
        self._built_in_loaded = False
        self._installed_loaded = False

    def register(self, entry: T) -> T:
        """Add an entry; returns it.

        Raises:
            ValueError: another entry has the name.
        """
        if self._entries.setdefault(entry.name, entry) is not entry:
            raise ValueError(f"two {self._noun}s are called {entry.name}")
        return entry

    def unregister(self, name: str) -> None:
        """Remove an entry, if there is one; for tests."""
        self._entries.pop(name, None)

    def __getitem__(self, name: str) -> T:
        """The entry of this name.

        Raises:
            UnknownNameError: there is none; the message lists the names.
        """
        if name not in self:
            known = ", ".join(self.names())
            raise UnknownNameError(f"unknown {self._noun} {name!r}: use one of {known}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._load_built_in()
        if name not in self._entries:
            self._load_installed()
        return name in self._entries

    def __iter__(self) -> Iterator[T]:
        """All entries, in the order of lists."""
        self._load_built_in()
        self._load_installed()
        return iter(sorted(self._entries.values(), key=lambda entry: (entry.order, entry.name)))

    def names(self) -> tuple[str, ...]:
        """The names of all entries, in the order of lists."""
        return tuple(entry.name for entry in self)

    def _load_built_in(self) -> None:
        with self._loading:
            if not self._built_in_loaded:
                self._built_in_loaded = True  # already now: a module may ask while it is loaded
                package = importlib.import_module(self._package)
                for module in pkgutil.iter_modules(package.__path__):
                    importlib.import_module(f"{self._package}.{module.name}")

    def _load_installed(self) -> None:
        with self._loading:
            if not self._installed_loaded:
                self._installed_loaded = True
                from importlib.metadata import entry_points  # slow to import, and seldom needed

                for point in entry_points(group=self._package):
                    point.load()
