package dataward;

import java.security.MessageDigest;
import java.util.Arrays;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.MapData;
import org.apache.spark.sql.connector.catalog.functions.AggregateFunction;
import org.apache.spark.sql.connector.catalog.functions.ScalarFunction;
import org.apache.spark.sql.types.*;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * MACs of rows in four lanes of 64 bits. docs/digest.md has the encoding of a row.
 *
 * As an aggregate: number of rows and sum of their MACs, five little-endian longs. As a function of one row: its MAC, a struct
 * of four longs; for metrics that are observed, whose aggregates Spark sends from executors to the driver as objects, so that they
 * must be Spark's own.
 *
 * Reads Spark's own rows; texts do not become Java objects. Plans show the function's name only. Spark's compiler takes Java without
 * generics and lambdas; nothing here is newer than Java 8.
 */
public final class RowSums implements AggregateFunction, ScalarFunction {
  private static final int BLOCK = 64, LANES = 4;
  private static final byte ROW = 2;

  private final byte[] key;
  private final StructType schema;
  private final boolean aggregates;
  private transient Encoder encoder;

  /** A key of at most 64 bytes, the columns, and whether it is the aggregate. */
  public RowSums(byte[] key, StructType schema, boolean aggregates) {
    this.key = key;
    this.schema = schema;
    this.aggregates = aggregates;
  }

  public String name() {
    return aggregates ? "row_sums" : "row_mac";
  }

  public String toString() {
    return name();
  }

  public DataType[] inputTypes() {
    StructField[] fields = schema.fields();
    DataType[] types = new DataType[fields.length];
    for (int n = 0; n < fields.length; n++) types[n] = fields[n].dataType();
    return types;
  }

  public DataType resultType() {
    if (aggregates) return DataTypes.BinaryType;
    StructType lanes = new StructType();
    for (int n = 0; n < LANES; n++) lanes = lanes.add("l" + n, DataTypes.LongType, false);
    return lanes;
  }

  public boolean isResultNullable() {
    return false;
  }

  public boolean isDeterministic() {
    return true;
  }

  public String canonicalName() {
    return "dataward." + name();
  }

  public java.io.Serializable newAggregationState() {
    return new long[1 + LANES];
  }

  public synchronized java.io.Serializable update(java.io.Serializable state, InternalRow row) {
    if (encoder == null) encoder = new Encoder(key, schema);
    encoder.add(row, (long[]) state);
    return state;
  }

  public synchronized Object produceResult(InternalRow row) {
    if (encoder == null) encoder = new Encoder(key, schema);
    long[] sums = new long[1 + LANES];
    encoder.add(row, sums);
    Object[] lanes = new Object[LANES];
    for (int n = 0; n < LANES; n++) lanes[n] = Long.valueOf(sums[1 + n]);
    return new GenericInternalRow(lanes);
  }

  public java.io.Serializable merge(java.io.Serializable left, java.io.Serializable right) {
    long[] sums = (long[]) left;
    long[] more = (long[]) right;
    for (int n = 0; n <= LANES; n++) sums[n] += more[n];
    return sums;
  }

  public Object produceResult(java.io.Serializable state) {
    byte[] made = new byte[8 * (1 + LANES)];
    for (int n = 0; n <= LANES; n++) {
      for (int b = 0; b < 8; b++) made[8 * n + b] = (byte) (((long[]) state)[n] >> (8 * b));
    }
    return made;
  }

  /** Encodes one row after another into one buffer, and adds their MACs. */
  private static final class Encoder {
    private final MessageDigest inner, outer;
    private final Type row;
    private byte[] buffer = new byte[1024];
    private int end;

    Encoder(byte[] key, StructType schema) {
      inner = keyed(key, (byte) 0x36);
      inner.update(ROW);
      outer = keyed(key, (byte) 0x5c);
      row = new Type(schema);
    }

    private static MessageDigest keyed(byte[] key, byte mask) {
      byte[] block = Arrays.copyOf(key, BLOCK);
      for (int n = 0; n < BLOCK; n++) block[n] = (byte) (block[n] ^ mask);
      try {
        MessageDigest made = MessageDigest.getInstance("SHA-256");
        made.update(block);
        return made;
      } catch (java.security.NoSuchAlgorithmException error) {
        throw new IllegalStateException("this Java has no SHA-256");
      }
    }

    void add(InternalRow values, long[] sums) {
      end = 0;
      fields(values, row);
      byte[] mac;
      try {
        MessageDigest hash = (MessageDigest) inner.clone();
        hash.update(buffer, 0, end);
        byte[] inside = hash.digest();
        hash = (MessageDigest) outer.clone();
        hash.update(inside);
        mac = hash.digest();
      } catch (CloneNotSupportedException error) {
        throw new IllegalStateException("this Java's SHA-256 cannot be copied");
      }
      sums[0]++;
      for (int n = 0; n < LANES; n++) {
        long lane = 0;
        for (int b = 7; b >= 0; b--) lane = (lane << 8) | (mac[8 * n + b] & 0xff);
        sums[1 + n] += lane;
      }
    }

    private void fields(SpecializedGetters values, Type type) {
      Type[] inside = type.inside;
      for (int n = 0; n < inside.length; n++) {
        if (values.isNullAt(n)) continue;
        int tag = n + 1;
        for (; tag > 127; tag >>>= 7) put((byte) (tag | 128));
        put((byte) tag);
        value(values, n, inside[n]);
      }
      put((byte) 0);
    }

    private void value(SpecializedGetters values, int n, Type type) {
      switch (type.kind) {
        case Type.BOOLEAN: put((byte) (values.getBoolean(n) ? 1 : 0)); break;
        case Type.BYTE: put(values.getByte(n)); break;
        case Type.SHORT: number(values.getShort(n), 2); break;
        case Type.INT: number(values.getInt(n), 4); break;
        case Type.LONG: number(values.getLong(n), 8); break;
        case Type.FLOAT: number(Float.floatToIntBits(values.getFloat(n)), 4); break;
        case Type.DOUBLE: number(Double.doubleToLongBits(values.getDouble(n)), 8); break;
        case Type.DECIMAL: decimal(values.getDecimal(n, type.precision, type.scale), type.scale); break;
        case Type.STRING: text(values.getUTF8String(n)); break;
        case Type.BINARY: bytes(values.getBinary(n)); break;
        case Type.STRUCT: fields(values.getStruct(n, type.inside.length), type); break;
        case Type.ARRAY: array(values.getArray(n), type.inside[0]); break;
        case Type.MAP: map(values.getMap(n), type); break;
        default: throw new IllegalStateException("a value of a type that has none");
      }
    }

    private void decimal(Decimal value, int scale) {
      if (value.precision() <= 18 && value.scale() == scale) {
        long unscaled = value.toUnscaledLong();
        number(unscaled, 8);
        number(unscaled >> 63, 8);
        return;
      }
      byte[] big = value.toJavaBigDecimal().setScale(scale).unscaledValue().toByteArray();
      byte sign = (byte) (big[0] >> 7);
      for (int b = 0; b < 16; b++) put(b < big.length ? big[big.length - 1 - b] : sign);
    }

    private void text(UTF8String value) {
      int size = value.numBytes();
      number(size, 4);
      room(size);
      value.writeToMemory(buffer, Platform.BYTE_ARRAY_OFFSET + end);
      end += size;
    }

    private void bytes(byte[] value) {
      number(value.length, 4);
      room(value.length);
      System.arraycopy(value, 0, buffer, end, value.length);
      end += value.length;
    }

    private void array(ArrayData values, Type element) {
      int size = values.numElements();
      number(size, 4);
      for (int n = 0; n < size; n++) item(values, n, element);
    }

    private void item(ArrayData values, int n, Type type) {
      boolean there = !values.isNullAt(n);
      put((byte) (there ? 1 : 0));
      if (there) value(values, n, type);
    }

    /** Entries by the bytes of their keys: two maps with the same entries are equal. */
    private void map(MapData map, Type type) {
      int size = map.numElements(), begun;
      number(size, 4);
      begun = end;
      byte[][] entries = new byte[size][];
      for (int n = 0; n < size; n++) {
        value(map.keyArray(), n, type.inside[0]);
        item(map.valueArray(), n, type.inside[1]);
        entries[n] = Arrays.copyOfRange(buffer, begun, end);
        end = begun;
      }
      Arrays.sort(entries, new Unsigned());
      for (int n = 0; n < size; n++) {
        room(entries[n].length);
        System.arraycopy(entries[n], 0, buffer, end, entries[n].length);
        end += entries[n].length;
      }
    }

    private void number(long value, int size) {
      room(size);
      for (int b = 0; b < size; b++) buffer[end++] = (byte) (value >> (8 * b));
    }

    private void put(byte value) {
      room(1);
      buffer[end++] = value;
    }

    private void room(int size) {
      if (buffer.length - end >= size) return;
      long wanted = Math.max((long) end + size, 2L * buffer.length);
      if ((long) end + size > Integer.MAX_VALUE - 8) throw new IllegalStateException("a row of more than 2 GiB");
      buffer = Arrays.copyOf(buffer, (int) Math.min(wanted, Integer.MAX_VALUE - 8));
    }
  }

  private static final class Unsigned implements java.util.Comparator {
    public int compare(Object left, Object right) {
      byte[] a = (byte[]) left;
      byte[] b = (byte[]) right;
      for (int n = 0; n < Math.min(a.length, b.length); n++) {
        if (a[n] != b[n]) return (a[n] & 0xff) - (b[n] & 0xff);
      }
      return a.length - b.length;
    }
  }

  /** A type as the encoder looks it up. */
  private static final class Type {
    static final int BOOLEAN = 0, BYTE = 1, SHORT = 2, INT = 3, LONG = 4, FLOAT = 5, DOUBLE = 6, DECIMAL = 7, STRING = 8;
    static final int BINARY = 9, STRUCT = 10, ARRAY = 11, MAP = 12, VOID = 13;

    final int kind;
    int precision, scale;
    Type[] inside = new Type[0];

    Type(DataType type) {
      if (type instanceof UserDefinedType) type = ((UserDefinedType) type).sqlType();
      if (type instanceof BooleanType) kind = BOOLEAN;
      else if (type instanceof ByteType) kind = BYTE;
      else if (type instanceof ShortType) kind = SHORT;
      else if (type instanceof IntegerType || type instanceof DateType) kind = INT;
      else if (type instanceof LongType || type instanceof TimestampType || type instanceof TimestampNTZType) kind = LONG;
      else if (type instanceof FloatType) kind = FLOAT;
      else if (type instanceof DoubleType) kind = DOUBLE;
      else if (type instanceof StringType) kind = STRING;
      else if (type instanceof BinaryType) kind = BINARY;
      else if (type instanceof NullType) kind = VOID;
      else if (type instanceof DecimalType) {
        kind = DECIMAL;
        precision = ((DecimalType) type).precision();
        scale = ((DecimalType) type).scale();
      } else if (type instanceof StructType) {
        kind = STRUCT;
        StructField[] fields = ((StructType) type).fields();
        inside = new Type[fields.length];
        for (int n = 0; n < fields.length; n++) inside[n] = new Type(fields[n].dataType());
      } else if (type instanceof ArrayType) {
        kind = ARRAY;
        inside = new Type[] {new Type(((ArrayType) type).elementType())};
      } else if (type instanceof MapType) {
        kind = MAP;
        inside = new Type[] {new Type(((MapType) type).keyType()), new Type(((MapType) type).valueType())};
      } else {
        throw new IllegalArgumentException("rows with a column of type " + type.simpleString() + " cannot be sealed");
      }
    }
  }
}
