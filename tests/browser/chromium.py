"""Where the browser is: it comes from the system's packages, nothing is downloaded."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """`$CHROMIUM`, or the first that is installed. Raises LookupError."""
    for name in (os.environ.get("CHROMIUM", ""), *NAMES):
        if name and (path := shutil.which(name)):
            return path
    raise LookupError("no Chromium: install the system's package, or set CHROMIUM to its path")
