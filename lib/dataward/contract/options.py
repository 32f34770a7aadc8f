"""Options of Spark's readers of text: an unknown one is ignored by Spark without a word."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["misspelt", "unknown"]

_FILES = (
    "pathGlobFilter", "recursiveFileLookup", "modifiedBefore", "modifiedAfter", "ignoreCorruptFiles", "ignoreMissingFiles", "basePath",
    "maxFilesPerTrigger", "maxBytesPerTrigger", "latestFirst", "fileNameOnly", "maxFileAge", "cleanSource", "sourceArchiveDir",
    "maxCachedFiles", "discardCachedInputRatio",
)  # fmt: skip
_TEXTS = (
    "encoding", "charset", "lineSep", "multiLine", "mode", "columnNameOfCorruptRecord", "samplingRatio", "locale", "timeZone", "dateFormat",
    "timestampFormat", "timestampNTZFormat", "timeFormat", "enableDateTimeParsingFallback", "preferDate", "compression", "codec",
    "rescuedDataColumn", "readerCaseSensitive", "singleVariantColumn",
)  # fmt: skip
_OF_FORMAT = {
    "csv": (
        "sep", "delimiter", "quote", "escape", "comment", "header", "inferSchema", "enforceSchema", "ignoreLeadingWhiteSpace",
        "ignoreTrailingWhiteSpace", "nullValue", "emptyValue", "nanValue", "positiveInf", "negativeInf", "maxColumns", "maxCharsPerColumn",
        "charToEscapeQuoteEscaping", "unescapedQuoteHandling", "escapeQuotes", "quoteAll", "columnPruning", "skipRows", "mergeSchema",
    ),
    "json": (
        "primitivesAsString", "prefersDecimal", "allowComments", "allowUnquotedFieldNames", "allowSingleQuotes", "allowNumericLeadingZeros",
        "allowBackslashEscapingAnyCharacter", "allowUnquotedControlChars", "allowNonNumericNumbers", "dropFieldIfAllNull",
        "inferTimestamp", "zoneId", "ignoreNullFields", "maxNestingDepth", "maxStringLen", "maxNumLen", "useUnsafeRow",
    ),
}  # fmt: skip
KNOWN = {name: {option.lower(): option for option in (*_FILES, *_TEXTS, *own)} for name, own in _OF_FORMAT.items()}
"""Options of Spark 3.5, Spark 4 and Databricks, by format and lower case; Spark ignores their case."""
SIMILAR = 0.8


def unknown(format_: str, options: Iterable[str]) -> list[str]:
    """Return the options that no reader of the format knows; none for formats other than csv and json."""
    known = KNOWN.get(format_)
    return [name for name in options if known and name.lower() not in known and "." not in name]


def misspelt(format_: str, options: Iterable[str]) -> tuple[str, str] | None:
    """Return the first option that is nearly a known one, with what it is likely to mean."""
    for name in unknown(format_, options):
        if near := get_close_matches(name.lower().replace("_", ""), KNOWN[format_], n=1, cutoff=SIMILAR):
            return name, KNOWN[format_][near[0]]
    return None
