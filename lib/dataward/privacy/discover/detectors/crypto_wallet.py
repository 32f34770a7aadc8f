"""``crypto_wallet``: addresses of crypto currencies: Bitcoin (base58check; bech32, BIP 173), Ethereum, and others by their shape."""

from dataward.privacy.discover.checksums import Stdnum, base58check
from dataward.privacy.discover.detector import Detector, Pattern

B58 = "[1-9A-HJ-NP-Za-km-z]"

DETECTOR = Detector(
    class_="crypto_wallet",
    explains="addresses of crypto currencies",
    patterns=(
        Pattern("bitcoin, litecoin, doge", rf"[13LMDA]{B58}{{25,33}}", 6, base58check, 0.001, inside="alone"),
        Pattern("bitcoin, bech32", r"(?i)bc1[02-9ac-hj-np-z]{11,71}", 7, Stdnum("bitcoin"), 0.001, inside="alone"),
        Pattern("ethereum", r"0x[0-9a-fA-F]{40}", 5, inside="alone"),
        Pattern("ripple, tron, cardano, monero", rf"r{B58}{{24,34}}|T{B58}{{33}}|addr1[02-9ac-hj-np-z]{{50,}}|[48]{B58}{{94}}", -1.5, inside="near"),
    ),
    names=("wallet", "wallet address", "bitcoin", "btc", "ethereum", "eth address", "crypto address", "btc address", "eth"),
)  # fmt: skip
