"""The rule kinds, one per file. A new kind is a new file and one line in ``KINDS``."""

from dataward.quality.rules.base import Key, RowRule, Rule, RuleError, Statement, TableRule, duplicate_flag
from dataward.quality.rules.column_correlation import ColumnCorrelation
from dataward.quality.rules.column_data_type import ColumnDataType
from dataward.quality.rules.column_exists import ColumnExists
from dataward.quality.rules.column_length import ColumnLength
from dataward.quality.rules.column_values import ColumnValues
from dataward.quality.rules.completeness import Completeness
from dataward.quality.rules.composite import RowComposite, TableComposite
from dataward.quality.rules.custom_sql import CustomSql
from dataward.quality.rules.data_freshness import DataFreshness
from dataward.quality.rules.distinct_values_count import DistinctValuesCount
from dataward.quality.rules.entropy import Entropy
from dataward.quality.rules.is_complete import IsComplete
from dataward.quality.rules.is_primary_key import IsPrimaryKey
from dataward.quality.rules.is_unique import IsUnique
from dataward.quality.rules.mean import Mean
from dataward.quality.rules.row_count import RowCount
from dataward.quality.rules.standard_deviation import StandardDeviation
from dataward.quality.rules.sum import Sum
from dataward.quality.rules.uniqueness import Uniqueness
from dataward.quality.rules.well_formed import WellFormed

__all__ = [
    "KINDS",
    "NOT_YET",
    "ColumnExists",
    "CustomSql",
    "IsPrimaryKey",
    "Key",
    "RowComposite",
    "RowRule",
    "Rule",
    "RuleError",
    "Statement",
    "TableComposite",
    "TableRule",
    "WellFormed",
    "duplicate_flag",
]

KINDS: dict[str, type[Rule]] = {
    kind.name: kind
    for kind in (
        ColumnCorrelation,
        ColumnDataType,
        ColumnExists,
        ColumnLength,
        ColumnValues,
        Completeness,
        CustomSql,
        DataFreshness,
        DistinctValuesCount,
        Entropy,
        IsComplete,
        IsPrimaryKey,
        IsUnique,
        Mean,
        RowCount,
        StandardDeviation,
        Sum,
        Uniqueness,
    )
}

# Rule types that DQDL has and Dataward refuses by name until it evaluates them.
NOT_YET = frozenset(
    [
        "AggregateMatch",
        "ColumnCount",
        "ColumnNamesMatchPattern",
        "DatasetMatch",
        "DetectAnomalies",
        "FileFreshness",
        "FileMatch",
        "FileSize",
        "FileUniqueness",
        "ReferentialIntegrity",
        "RowCountMatch",
        "SchemaMatch",
        "UniqueValueRatio",
    ]
)
