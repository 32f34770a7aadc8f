"""The rule kinds, one per file. A new kind is a new file and one line in ``KINDS``."""

from dataward.quality.rules.aggregate_match import AggregateMatch
from dataward.quality.rules.base import Rule, RuleError, Statement
from dataward.quality.rules.column_correlation import ColumnCorrelation
from dataward.quality.rules.column_count import ColumnCount
from dataward.quality.rules.column_data_type import ColumnDataType
from dataward.quality.rules.column_exists import ColumnExists
from dataward.quality.rules.column_length import ColumnLength
from dataward.quality.rules.column_names_match_pattern import ColumnNamesMatchPattern
from dataward.quality.rules.column_values import ColumnValues
from dataward.quality.rules.completeness import Completeness
from dataward.quality.rules.composite import RowComposite, TableComposite, composite
from dataward.quality.rules.custom_sql import CustomSql
from dataward.quality.rules.data_freshness import DataFreshness
from dataward.quality.rules.dataset_match import DatasetMatch
from dataward.quality.rules.delta_presence import DeltaPresence
from dataward.quality.rules.detect_anomalies import DetectAnomalies
from dataward.quality.rules.distinct_values_count import DistinctValuesCount
from dataward.quality.rules.entropy import Entropy
from dataward.quality.rules.families import Finding, Probe, RowRule, Scene, TableRule
from dataward.quality.rules.file_freshness import FileFreshness
from dataward.quality.rules.file_match import FileMatch
from dataward.quality.rules.file_size import FileSize
from dataward.quality.rules.file_uniqueness import FileUniqueness
from dataward.quality.rules.is_complete import IsComplete
from dataward.quality.rules.is_primary_key import IsPrimaryKey
from dataward.quality.rules.is_unique import IsUnique
from dataward.quality.rules.k_anonymity import KAnonymity
from dataward.quality.rules.k_map import KMap
from dataward.quality.rules.l_diversity import LDiversity
from dataward.quality.rules.mean import Mean
from dataward.quality.rules.no_duplicates import NoDuplicates
from dataward.quality.rules.no_outliers import NoOutliers
from dataward.quality.rules.not_erased import NotErased
from dataward.quality.rules.referential_integrity import ReferentialIntegrity
from dataward.quality.rules.row_count import RowCount
from dataward.quality.rules.row_count_match import RowCountMatch
from dataward.quality.rules.schema_match import SchemaMatch
from dataward.quality.rules.standard_deviation import StandardDeviation
from dataward.quality.rules.sum import Sum
from dataward.quality.rules.t_closeness import TCloseness
from dataward.quality.rules.unique_value_ratio import UniqueValueRatio
from dataward.quality.rules.uniqueness import Uniqueness
from dataward.quality.rules.well_formed import WellFormed

__all__ = [
    "KINDS",
    "Finding",
    "IsPrimaryKey",
    "NotErased",
    "Probe",
    "RowComposite",
    "RowRule",
    "Rule",
    "RuleError",
    "Scene",
    "Statement",
    "TableComposite",
    "TableRule",
    "WellFormed",
    "composite",
]

KINDS: dict[str, type[Rule]] = {
    kind.name: kind
    for kind in (
        AggregateMatch,
        ColumnCorrelation,
        ColumnCount,
        ColumnDataType,
        ColumnExists,
        ColumnLength,
        ColumnNamesMatchPattern,
        ColumnValues,
        Completeness,
        CustomSql,
        DataFreshness,
        DatasetMatch,
        DeltaPresence,
        DetectAnomalies,
        DistinctValuesCount,
        Entropy,
        FileFreshness,
        FileMatch,
        FileSize,
        FileUniqueness,
        IsComplete,
        IsPrimaryKey,
        IsUnique,
        KAnonymity,
        KMap,
        LDiversity,
        Mean,
        NoDuplicates,
        NoOutliers,
        ReferentialIntegrity,
        RowCount,
        RowCountMatch,
        SchemaMatch,
        StandardDeviation,
        Sum,
        TCloseness,
        UniqueValueRatio,
        Uniqueness,
    )
}
