package dataward;

import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.execution.QueryExecution;
import org.apache.spark.sql.util.QueryExecutionListener;
import org.apache.spark.util.AccumulatorV2;
import scala.Option;

/** Keeps what queries of a session observe, by name; Spark's own Observation waits without end for a query that never tells. */
public final class Observed implements QueryExecutionListener {
  private final ConcurrentHashMap found = new ConcurrentHashMap();
  private volatile long[] merged = {-1, -1};

  public void onSuccess(String action, QueryExecution query, long nanoseconds) {
    scala.collection.Iterator names = query.observedMetrics().keysIterator();
    while (names.hasNext()) {
      Object name = names.next();
      Option row = query.observedMetrics().get((String) name);
      if (row.isDefined()) found.put(name, row.get());
    }
    scala.collection.immutable.Map metrics = query.executedPlan().metrics();
    if (metrics.contains("numTargetRowsUpdated")) {
      merged = new long[] {counted(metrics, "numTargetRowsInserted"), counted(metrics, "numTargetRowsUpdated")};
    }
  }

  public void onFailure(String action, QueryExecution query, Exception error) {}

  private static long counted(scala.collection.immutable.Map metrics, String name) {
    Option metric = metrics.get(name);
    return metric.isDefined() ? ((Number) ((AccumulatorV2) metric.get()).value()).longValue() : -1;
  }

  /** The inserted and updated rows of the last merge; -1 where none was counted. */
  public long[] merged() {
    return merged;
  }

  /** The numbers that were observed under that name, as little-endian longs; null where no query has told them. */
  public byte[] of(String name) {
    Row row = (Row) found.get(name);
    if (row == null) return null;
    byte[] made = new byte[8 * row.size()];
    for (int n = 0; n < row.size(); n++) {
      long number = row.isNullAt(n) ? 0 : row.getLong(n); // no row, no sum
      for (int b = 0; b < 8; b++) made[8 * n + b] = (byte) (number >> (8 * b));
    }
    return made;
  }
}
