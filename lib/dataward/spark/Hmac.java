package dataward;

import java.security.MessageDigest;
import java.util.Arrays;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.DataTypes;

/**
 * HMAC-SHA-256 of a message, as the UTF-8 bytes of a prefix and of the MAC's first bytes in hexadecimal. Null stays null.
 *
 * HMAC(K, m) = SHA256((K xor opad) || SHA256((K xor ipad) || m)), RFC 2104. The key's two padded blocks are hashed once,
 * and every message goes on from copies. Spark's compiler takes Java without generics and lambdas.
 */
public final class Hmac implements UDF1 {
  private static final int BLOCK = 64;
  private static final byte[] DIGITS = "0123456789abcdef".getBytes();

  private final byte[] key;
  private final byte[] prefix;
  private final int size;
  private transient volatile MessageDigest[] begun;

  /** A key of at most 64 bytes, what stands before each MAC, and how many bytes of it are kept. */
  public Hmac(byte[] key, byte[] prefix, int size) {
    this.key = key;
    this.prefix = prefix;
    this.size = size;
  }

  /** As a column, which plans show without its key. */
  public Column of(Column message) {
    return functions.udf(this, DataTypes.BinaryType).withName("hmac_sha256").apply(new Column[] {message});
  }

  public Object call(Object message) throws Exception {
    if (message == null) return null;
    MessageDigest[] keyed = begun;
    if (keyed == null) {
      keyed = new MessageDigest[] {keyed((byte) 0x36), keyed((byte) 0x5c)};
      begun = keyed; // whole, or not at all: other threads may call the same object
    }
    MessageDigest inner = (MessageDigest) keyed[0].clone();
    inner.update((byte[]) message);
    MessageDigest outer = (MessageDigest) keyed[1].clone();
    outer.update(inner.digest());
    byte[] mac = outer.digest();
    byte[] told = new byte[prefix.length + 2 * size];
    System.arraycopy(prefix, 0, told, 0, prefix.length);
    for (int n = 0, at = prefix.length; n < size; n++) {
      told[at++] = DIGITS[(mac[n] >> 4) & 15];
      told[at++] = DIGITS[mac[n] & 15];
    }
    return told;
  }

  private MessageDigest keyed(byte mask) throws Exception {
    byte[] block = Arrays.copyOf(key, BLOCK);
    for (int n = 0; n < BLOCK; n++) block[n] = (byte) (block[n] ^ mask);
    MessageDigest made = MessageDigest.getInstance("SHA-256");
    made.update(block);
    return made;
  }
}
