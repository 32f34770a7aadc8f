import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.delta.catalog.DeltaCatalog;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** A second catalog of Delta tables, so that names have three parts. Its schemas are those of spark_catalog with the prefix that it is given. */
public class Elsewhere extends DeltaCatalog {
    private String named;

    @Override
    public void initialize(String name, CaseInsensitiveStringMap options) {
        named = name;
        Object session = SparkSession.active().sessionState().catalogManager().catalog("spark_catalog");
        setDelegateCatalog((TableCatalog) session);
        super.initialize(name, options);
    }

    @Override
    public String name() {
        return named;
    }
}
