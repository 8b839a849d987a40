"""A passkey device without hardware, as the browser's own testing interface offers it."""

from typing import Any

from playwright.sync_api import Page


class Passkeys:
    """One built-in authenticator in a page. It verifies the person, and derives secrets (PRF)."""

    def __init__(self, page: Page, *, has_prf: bool = True) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable", {"enableUI": False})
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "hasPrf": has_prf,
            "automaticPresenceSimulation": True,
            "isUserVerified": True,
        }
        added = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = added["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        """The passkeys it holds."""
        answer = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        return list(answer["credentials"])

    def verify_person(self, says_yes: bool) -> None:
        """Whether the finger on the reader is the right one from now on."""
        self._session.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": says_yes}
        )
