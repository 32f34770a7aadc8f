package dataward;

import java.io.InputStream;
import java.security.MessageDigest;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.util.SerializableConfiguration;

/** SHA-256 (hex) of a file's bytes, read as a stream through Hadoop's file systems. */
public final class FileSha256 implements UDF1 {
  private static final int CHUNK = 1 << 18;

  private final SerializableConfiguration hadoop;

  public FileSha256(SerializableConfiguration hadoop) {
    this.hadoop = hadoop;
  }

  public Column of(Column path) {
    return functions.udf(this, DataTypes.StringType).withName("file_sha256").apply(new Column[] {path});
  }

  public Object call(Object name) throws Exception {
    Path path = new Path((String) name);
    MessageDigest hash = MessageDigest.getInstance("SHA-256");
    byte[] chunk = new byte[CHUNK];
    InputStream bytes = path.getFileSystem(hadoop.value()).open(path);
    try {
      for (int read = bytes.read(chunk); read >= 0; read = bytes.read(chunk)) hash.update(chunk, 0, read);
    } finally {
      bytes.close();
    }
    StringBuilder hex = new StringBuilder();
    byte[] made = hash.digest();
    for (int n = 0; n < made.length; n++) hex.append(String.format("%02x", new Object[] {Byte.valueOf(made[n])}));
    return hex.toString();
  }
}
