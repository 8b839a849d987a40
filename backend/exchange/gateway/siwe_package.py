"""The `siwe` package, which takes nearly a second to import, for web3 and for its grammar.

So it does not come with the modules that use it: it is loaded in a thread after the API is there, and a login
that comes before waits for it, nobody else. When it can not be imported nobody can sign in, and all else goes
on: trading needs sessions, not logins.
"""

import asyncio
import importlib
import threading
import warnings
from types import ModuleType

import structlog

logger = structlog.get_logger(__name__)

_WARNINGS = (
    r"rule '[\w-]+' redefines ",  # its grammar overrules some of abnf's own rules
    r"websockets\.legacy is deprecated",  # by web3, which it imports
)


class LoginUnavailable(Exception):
    """Nobody can sign in, because the package can not be imported. It stays so until a restart."""

    def __init__(self, package: str, cause: Exception) -> None:
        self.package = package
        self.cause = cause
        super().__init__(f"the {package} package can not be imported: {cause!r}")


class SiwePackage:
    """The package, imported once; may be asked for from any thread. `fault` is why it can not be imported."""

    def __init__(self, name: str = "siwe") -> None:
        self.fault: Exception | None = None
        self._name = name
        self._module: ModuleType | None = None
        self._loading = threading.Lock()

    async def get(self) -> ModuleType:
        """The package, at once when it has been loaded. Raises LoginUnavailable."""
        module = self._module
        return await asyncio.to_thread(self.load) if module is None else module

    def load(self) -> ModuleType:
        """The package, imported if need be. Raises LoginUnavailable."""
        with self._loading:
            if self._module is None and self.fault is None:
                self._import()
        if self._module is None:
            assert self.fault is not None
            raise LoginUnavailable(self._name, self.fault)
        return self._module

    def _import(self) -> None:
        # Not `catch_warnings`: it is not for threads, and what another thread does meanwhile may leave all
        # warnings ignored for good. Two filters that stay do no harm.
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message)
        try:
            self._module = importlib.import_module(self._name)
        except Exception as error:  # an import runs the package's own code, which may raise anything
            self.fault = error
        if self.fault is not None:
            logger.error("login_unavailable", package=self._name, error=repr(self.fault))
