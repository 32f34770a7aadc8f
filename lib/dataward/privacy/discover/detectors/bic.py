"""``bic``: business identifier codes of banks (ISO 9362): bank, country, place, branch."""

from dataward.privacy.discover.detector import Detector, Pattern

COUNTRIES = (
    "A[DEFGILMORTUWXZ]|B[ABDEFGHIJLMNOQRSTWYZ]|C[ADFGHIKLMNORUVWXYZ]|D[EJKMOZ]|E[CEGRST]|F[IJKMOR]|G[ABDEFGHILMNPQRTUWY]|"
    "H[KNRTU]|I[DELMNOQRST]|J[EMOP]|K[EGHIMNPRWYZ]|L[ABCIKRSTUVY]|M[ACDEGHKLMNOPQRSTUVWXYZ]|N[ACEFGILOPRUZ]|OM|P[AEFGHKLMRSTWY]|QA|"
    "R[EOSUW]|S[ABCDEGHIKLMNORSTVYZ]|T[CDGHJKLMNORTVWZ]|U[AGSYZ]|V[ACEGINU]|W[FS]|Y[ET]|Z[AMW]|XK"
)

DETECTOR = Detector(
    class_="bic",
    explains="business identifier codes of banks",
    patterns=(
        Pattern("bank and country", rf"[A-Z]{{4}}(?:{COUNTRIES})[A-Z0-9]{{2}}(?:[A-Z0-9]{{3}})?", 1, inside="near"),
    ),
    names=("bic", "swift", "swift code", "bic code", "swift bic"),
)
