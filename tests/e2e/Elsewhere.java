import java.util.Map;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.delta.catalog.DeltaCatalog;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** A second catalog of Delta tables, so that names have three parts. Its schema s is the schema else_s of spark_catalog. */
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

    private static String[] else_(String[] namespace) {
        if (namespace.length == 0 || namespace[0].startsWith("else_")) return namespace;
        return new String[] {"else_" + namespace[0]};
    }

    private static Identifier else_(Identifier table) {
        return Identifier.of(else_(table.namespace()), table.name());
    }

    @Override
    public Table loadTable(Identifier table) {
        return super.loadTable(else_(table));
    }

    @Override
    public Table loadTable(Identifier table, String version) {
        return super.loadTable(else_(table), version);
    }

    @Override
    public Table loadTable(Identifier table, long timestamp) {
        return super.loadTable(else_(table), timestamp);
    }

    @Override
    public boolean tableExists(Identifier table) {
        return super.tableExists(else_(table));
    }

    @Override
    public void invalidateTable(Identifier table) {
        super.invalidateTable(else_(table));
    }

    @Override
    public boolean dropTable(Identifier table) {
        return super.dropTable(else_(table));
    }

    @Override
    public Table createTable(Identifier table, StructType schema, Transform[] parts, Map<String, String> properties) {
        return super.createTable(else_(table), schema, parts, properties);
    }

    @Override
    public StagedTable stageCreate(Identifier table, StructType schema, Transform[] parts, Map<String, String> properties) {
        return super.stageCreate(else_(table), schema, parts, properties);
    }

    @Override
    public StagedTable stageReplace(Identifier table, StructType schema, Transform[] parts, Map<String, String> properties) {
        return super.stageReplace(else_(table), schema, parts, properties);
    }

    @Override
    public StagedTable stageCreateOrReplace(Identifier table, StructType schema, Transform[] parts, Map<String, String> properties) {
        return super.stageCreateOrReplace(else_(table), schema, parts, properties);
    }

    @Override
    public Table alterTable(Identifier table, TableChange... changes) {
        return super.alterTable(else_(table), changes);
    }

    @Override
    public Identifier[] listTables(String[] namespace) {
        try {
            return super.listTables(else_(namespace));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public boolean namespaceExists(String[] namespace) {
        return super.namespaceExists(else_(namespace));
    }

    @Override
    public Map<String, String> loadNamespaceMetadata(String[] namespace) {
        try {
            return super.loadNamespaceMetadata(else_(namespace));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public void createNamespace(String[] namespace, Map<String, String> metadata) {
        try {
            super.createNamespace(else_(namespace), metadata);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}
