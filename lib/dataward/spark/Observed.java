package dataward;

import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.execution.QueryExecution;
import org.apache.spark.sql.util.QueryExecutionListener;
import scala.Option;

/** Keeps what queries of a session observe, by name; Spark's own Observation waits without end for a query that never tells. */
public final class Observed implements QueryExecutionListener {
  private final ConcurrentHashMap found = new ConcurrentHashMap();

  public void onSuccess(String action, QueryExecution query, long nanoseconds) {
    scala.collection.Iterator names = query.observedMetrics().keysIterator();
    while (names.hasNext()) {
      Object name = names.next();
      Option row = query.observedMetrics().get((String) name);
      if (row.isDefined()) found.put(name, row.get());
    }
  }

  public void onFailure(String action, QueryExecution query, Exception error) {}

  /** The first metric of that name; null where no query has told it. */
  public Object of(String name) {
    Row row = (Row) found.get(name);
    return row == null ? null : row.get(0);
  }
}
