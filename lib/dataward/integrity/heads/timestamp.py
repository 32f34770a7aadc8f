"""Heads with an RFC 3161 time stamp: an authority signs that the checkpoint existed at a time.

The token is in the ledger's folder. It does not protect itself from deletion; any copy of it proves the time.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from dataward.errors import ProofError, TargetError
from dataward.integrity.heads import checkpoint_of
from dataward.integrity.heads.web import post
from dataward.integrity.log.entries import digest
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Checkpoint, Note

__all__ = ["Timestamps"]


class Timestamps:
    """Tokens of one authority, verified by its root certificates (PEM)."""

    def __init__(self, url: str, certificates: str, log: Log) -> None:
        """Set URL, file of root certificates, and log."""
        self._url, self._certificates, self._log = url, certificates, log
        self._folder = f"heads/{digest(url)[:16]}"

    def __str__(self) -> str:
        """Return the URL."""
        return f"time stamps of {self._url}"

    def newest(self) -> Note | None:
        """Return the largest stamped checkpoint."""
        names = [name for name in self._log.store.names(self._folder) if name.endswith(".checkpoint")]
        if not names:
            return None
        note = checkpoint_of(self._log.store.read(names[-1]) or b"", names[-1])
        self.time_of(note)
        return note

    def time_of(self, note: Note) -> str:
        """Return the time stamp of a checkpoint (ISO 8601).

        Raises:
            ProofError: there is no token, or it does not verify.
        """
        name = f"{self._folder}/{Checkpoint.parsed(note.text).size:020}.tsr"
        token = self._log.store.read(name)
        if token is None:
            raise ProofError(f"{self._log}/{name}: the time stamp is missing")
        return self._verified(token, note, None)

    def keep(self, note: Note) -> str:
        """Request a token, verify it and store it."""
        client = _client()
        asked = client.TimestampRequestBuilder().data(str(note).encode()).hash_algorithm(client.HashAlgorithm.SHA256)
        request = asked.cert_request(cert_request=True).build()
        status, token = post(self._url, request.as_bytes(), "application/timestamp-query")
        if status != 200:
            raise TargetError(f"{self._url}: the time stamping authority answered {status}")
        time = self._verified(token, note, request)
        name = f"{self._folder}/{Checkpoint.parsed(note.text).size:020}"
        self._log.store.put(f"{name}.tsr", token)
        self._log.store.put(f"{name}.checkpoint", str(note).encode())
        return f"{self._url}, stamped {time}"

    def _verified(self, token: bytes, note: Note, request: Any) -> str:
        client = _client()
        verifier = client.VerifierBuilder.from_request(request) if request is not None else client.VerifierBuilder()
        for certificate in self._roots():
            verifier = verifier.add_root_certificate(certificate)
        try:
            answer = client.decode_timestamp_response(token)
            verifier.build().verify_message(answer, str(note).encode())
        except (ValueError, client.VerificationError) as error:
            raise ProofError(f"{self._url}: its time stamp does not verify ({str(error)[:200]})") from None
        return str(answer.tst_info.gen_time.isoformat())

    def _roots(self) -> list[Any]:
        from cryptography.x509 import load_pem_x509_certificates

        with suppress(OSError, ValueError):
            return load_pem_x509_certificates(Path(self._certificates).read_bytes())
        raise TargetError(
            f"{self._certificates}: it holds no certificates (PEM): give the authority's root as 'certificate'"
        )


def _client() -> Any:
    try:
        import rfc3161_client
    except ImportError:
        raise TargetError("time stamps need rfc3161-client: pip install 'dataward[timestamp]'") from None
    return rfc3161_client
