// pgjdbc: prepares what it has run five times, binary then, and large objects by function calls.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

import com.zaxxer.hikari.HikariDataSource;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;

public class WithJdbc {
    interface Step {
        void run() throws Exception;
    }

    static boolean masked;
    static String ssn;
    static Connection connection;
    static int failed = 0;

    public static void main(String[] arguments) throws Exception {
        masked = arguments[0].equals("masked");
        ssn = masked ? "[masked]" : "top-secret";
        connection = connect("");
        step("query", WithJdbc::query);
        step("prepared after some executions", WithJdbc::preparedAfterSomeExecutions);
        step("statements are forgotten", WithJdbc::statementsAreForgotten);
        step("simple protocol", WithJdbc::simpleProtocol);
        step("binary", WithJdbc::binary);
        step("metadata", WithJdbc::metadata);
        step("batch", WithJdbc::batch);
        step("error in a batch", WithJdbc::errorInABatch);
        step("generated keys", WithJdbc::generatedKeys);
        step("round trips", WithJdbc::roundTrips);
        step("copy", WithJdbc::copy);
        step("failed copy", WithJdbc::failedCopy);
        step("savepoints", WithJdbc::savepoints);
        step("saves by itself", WithJdbc::savesByItself);
        step("cursor", WithJdbc::cursor);
        step("large object", WithJdbc::largeObject);
        step("cancellation", WithJdbc::cancellation);
        step("timeout", WithJdbc::timeout);
        step("pool", WithJdbc::pool);
        step("errors say nothing", WithJdbc::errorsSayNothing);
        if (!masked) step("notifications", WithJdbc::notifications);
        connection.close();
        System.exit(failed);
    }

    static void step(String name, Step step) {
        try {
            step.run();
            System.out.println("ok     " + name);
        } catch (Exception | AssertionError error) {
            failed = 1;
            System.out.println("FAILED " + name + " " + error);
            for (StackTraceElement at : error.getStackTrace()) {
                if (at.getClassName().equals("WithJdbc")) System.out.println("    line " + at.getLineNumber());
            }
        }
    }

    static String address() {
        return "//127.0.0.1:" + System.getenv("TCP_PORT") + "/" + System.getenv("PGDATABASE");
    }

    static Connection connect(String options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", "disable");
        return DriverManager.getConnection("jdbc:postgresql:" + address() + "?" + options, properties);
    }

    static void query() throws SQLException {
        equal(rows("SELECT id, name, ssn FROM people ORDER BY id").get(0), List.of(1, "ada", ssn));
        equal(rows("SELECT ssn FROM people WHERE id = ?", 1), List.of(List.of(ssn)));
        equal(rows("SELECT id FROM people WHERE ssn = ?", "top-secret"), masked ? List.of() : List.of(List.of(1)));
        equal(rows("SELECT id FROM people WHERE id = ANY(?) ORDER BY id", (Object) new Integer[] {1, 2, 9}), List.of(List.of(1), List.of(2)));
        try (Statement statement = connection.createStatement()) {
            equal(statement.execute("SELECT 1; SELECT 2"), true);
            equal(statement.getMoreResults(), true);
            equal(rows(statement.getResultSet()), List.of(List.of(2)));
        }
    }

    static void preparedAfterSomeExecutions() throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT id, ssn, ?::int4 FROM people WHERE id = 1")) {
            for (int number = 0; number < 20; number++) {
                statement.setInt(1, number);
                equal(rows(statement.executeQuery()), List.of(List.of(1, ssn, number)));
            }
        }
    }

    /** More texts than the driver keeps. */
    static void statementsAreForgotten() throws SQLException {
        try (Connection other = connect("prepareThreshold=1&preparedStatementCacheQueries=8")) {
            for (int round = 0; round < 3; round++) {
                for (int number = 0; number < 30; number++) {
                    equal(rows(other, "SELECT ssn, " + number + " FROM people WHERE id = ?", 1), List.of(List.of(ssn, number)));
                }
            }
        }
    }

    static void simpleProtocol() throws SQLException {
        try (Connection other = connect("preferQueryMode=simple")) {
            equal(rows(other, "SELECT ssn FROM people WHERE id = ?", 1), List.of(List.of(ssn)));
        }
    }

    /** Parameters and results in binary from the first execution on. */
    static void binary() throws SQLException {
        try (Connection other = connect("prepareThreshold=-1&binaryTransfer=true")) {
            UUID id = UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
            for (int number = 0; number < 3; number++) {
                equal(rows(other, "SELECT ?::int8 + id, ?::uuid, ?::float8, ssn FROM people WHERE id = ?", 41L, id, 1.5, 1),
                    List.of(List.of(42L, id, 1.5, ssn)));
            }
        }
    }

    /** What tools ask the catalog for by this interface. */
    static void metadata() throws SQLException {
        var told = connection.getMetaData();
        List<Object> columns = new ArrayList<>();
        for (var row : rows(told.getColumns(null, "public", "people", "%"))) columns.add(row.get(3));
        equal(columns, List.of("id", "name", "ssn"));
        equal(rows(told.getPrimaryKeys(null, "public", "people")).get(0).get(3), "id");
        equal(rows(told.getIndexInfo(null, "public", "people", true, false)).size(), 1);
        equal(rows(told.getTables(null, "public", "%", new String[] {"TABLE"})).size(), 2);
        show(rows(told.getTypeInfo()).size());
        show(rows(told.getFunctions(null, "public", "%")));
        show(rows(told.getImportedKeys(null, "public", "people")));
        show(rows(told.getTablePrivileges(null, "public", "people")).size());
        try (PreparedStatement statement = connection.prepareStatement("SELECT id, ssn FROM people WHERE id = ?")) {
            equal(statement.getMetaData().getColumnTypeName(2), "text");
            equal(statement.getParameterMetaData().getParameterType(1), Types.INTEGER);
        }
    }

    static void batch() throws SQLException {
        run("DELETE FROM things");
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO things (id, number) VALUES (?, ?)")) {
            for (int number = 0; number < 500; number++) {
                statement.setObject(1, UUID.randomUUID());
                statement.setInt(2, number);
                statement.addBatch();
            }
            equal(Arrays.stream(statement.executeBatch()).sum(), 500);
        }
        try (Connection other = connect("reWriteBatchedInserts=true");
            PreparedStatement statement = other.prepareStatement("INSERT INTO things (id, number) VALUES (?, ?)")) {
            for (int number = 0; number < 500; number++) {
                statement.setObject(1, UUID.randomUUID());
                statement.setInt(2, number);
                statement.addBatch();
            }
            statement.executeBatch();
        }
        equal(rows("SELECT count(*), sum(number) FROM things"), List.of(List.of(1000L, 249500L)));
    }

    static void errorInABatch() throws SQLException {
        run("DELETE FROM things");
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.addBatch("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 1)");
            statement.addBatch("INSERT INTO things (id, number) VALUES (NULL, 2)");
            statement.addBatch("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 3)");
            statement.executeBatch();
            throw new AssertionError("no error");
        } catch (BatchUpdateException error) {
            equal(error.getSQLState(), "23502");
            show(error.getMessage());
        } finally {
            connection.rollback();
            connection.setAutoCommit(true);
        }
        equal(rows("SELECT count(*) FROM things"), List.of(List.of(0L)));
    }

    static void generatedKeys() throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(
            "INSERT INTO things (id, number) VALUES (gen_random_uuid(), ?)", new String[] {"number"})) {
            statement.setInt(1, 9);
            equal(statement.executeUpdate(), 1);
            equal(rows(statement.getGeneratedKeys()), List.of(List.of(9)));
        }
    }

    static void roundTrips() throws SQLException {
        run("DELETE FROM things");
        UUID id = UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        OffsetDateTime at = OffsetDateTime.of(2024, 2, 29, 12, 30, 15, 123456000, ZoneOffset.UTC);
        String[] tags = {"x", "y,z", null, "\""};
        byte[] raw = {0, -1, 1};
        var amount = new java.math.BigDecimal("12345678901234567890.000100");
        run("INSERT INTO things (id, doc, tags, at, amount, raw) VALUES (?, ?::jsonb, ?, ?, ?, ?)", id, "{\"ü\": \"é\"}", tags, at, amount, raw);
        try (Statement statement = connection.createStatement();
            ResultSet found = statement.executeQuery("SELECT id, doc, tags, at, amount, raw FROM things")) {
            equal(found.next(), true);
            equal(found.getObject(1), id);
            equal(found.getString(2), "{\"ü\": \"é\"}");
            equal(Arrays.asList((Object[]) found.getArray(3).getArray()), Arrays.asList((Object[]) tags));
            equal(found.getObject(4, OffsetDateTime.class).toInstant(), at.toInstant());
            equal(found.getBigDecimal(5), amount);
            equal(Arrays.equals(found.getBytes(6), raw), true);
        }
    }

    static void copy() throws Exception {
        run("DELETE FROM things");
        CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder lines = new StringBuilder();
        for (int number = 0; number < 3000; number++) lines.append(UUID.randomUUID()).append('\t').append(number).append('\n');
        equal(copies.copyIn("COPY things (id, number) FROM STDIN", new StringReader(lines.toString())), 3000L);
        equal(rows("SELECT count(*) FROM things"), List.of(List.of(3000L)));
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        equal(copies.copyOut("COPY people (id, ssn) TO STDOUT (FORMAT csv)", text), 2L);
        equal(text.toString(StandardCharsets.UTF_8), "1," + ssn + "\n2," + (masked ? ssn : "top-secret-2") + "\n");
    }

    static void failedCopy() throws Exception {
        CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
        fails("22P02", () -> copies.copyIn("COPY things (id) FROM STDIN", new ByteArrayInputStream("not a uuid\n".getBytes(StandardCharsets.UTF_8))));
        var cancelled = copies.copyIn("COPY things (id) FROM STDIN");
        cancelled.cancelCopy();
        equal(rows("SELECT 1"), List.of(List.of(1)));
    }

    static void savepoints() throws Exception {
        run("DELETE FROM things");
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        connection.setAutoCommit(false);
        run("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 1)");
        Savepoint here = connection.setSavepoint("here");
        run("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 2)");
        fails("22012", () -> rows("SELECT 1/0"));
        fails("25P02", () -> rows("SELECT 1"));
        connection.rollback(here);
        run("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 3)");
        connection.commit();
        connection.setAutoCommit(true);
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        equal(rows("SELECT number FROM things ORDER BY 1"), List.of(List.of(1), List.of(3)));
    }

    /** The driver sets a savepoint before each statement, and goes back to it after an error. */
    static void savesByItself() throws Exception {
        try (Connection other = connect("autosave=always")) {
            other.setAutoCommit(false);
            equal(rows(other, "SELECT ssn FROM people WHERE id = ?", 1), List.of(List.of(ssn)));
            fails("42703", () -> rows(other, "SELECT nothing FROM people"));
            equal(rows(other, "SELECT ssn FROM people WHERE id = ?", 1), List.of(List.of(ssn)));
            other.commit();
        }
    }

    /** A portal that is fetched from piece by piece. */
    static void cursor() throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            int seen = 0;
            try (ResultSet found = statement.executeQuery("SELECT n, ssn FROM people, generate_series(1, 100) n WHERE id = 1 ORDER BY n")) {
                while (found.next()) {
                    seen++;
                    equal(found.getString(2), ssn);
                }
            }
            equal(seen, 100);
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void largeObject() throws Exception {
        connection.setAutoCommit(false);
        try {
            LargeObjectManager objects = connection.unwrap(PGConnection.class).getLargeObjectAPI();
            if (masked) {
                fails("42501", objects::createLO);
                return;
            }
            long oid = objects.createLO();
            LargeObject object = objects.open(oid, LargeObjectManager.READWRITE);
            byte[] written = new byte[200_000];
            for (int at = 0; at < written.length; at++) written[at] = (byte) at;
            object.write(written);
            object.seek(0);
            equal(Arrays.equals(object.read(written.length), written), true);
            equal(object.size64(), (long) written.length);
            object.truncate64(3);
            equal(object.size64(), 3L);
            object.close();
            objects.delete(oid);
        } finally {
            connection.rollback();
            connection.setAutoCommit(true);
        }
    }

    static void cancellation() throws Exception {
        try (Statement statement = connection.createStatement()) {
            Thread other = new Thread(() -> {
                try {
                    Thread.sleep(500);
                    statement.cancel();
                } catch (Exception error) {
                    show(error.toString());
                }
            });
            other.start();
            fails("57014", () -> statement.executeQuery("SELECT pg_sleep(30)"));
            other.join();
        }
        equal(rows("SELECT 1"), List.of(List.of(1)));
    }

    static void timeout() throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            fails("57014", () -> statement.executeQuery("SELECT pg_sleep(30)"));
        }
        equal(rows("SELECT 1"), List.of(List.of(1)));
    }

    /** What a pool lends is checked, and set back to how it was when it returns. */
    static void pool() throws Exception {
        var pool = new HikariDataSource();
        pool.setJdbcUrl("jdbc:postgresql:" + address() + "?sslmode=disable");
        pool.setUsername(System.getenv("PGUSER"));
        pool.setPassword(System.getenv("PGPASSWORD"));
        pool.setMaximumPoolSize(4);
        pool.setConnectionInitSql("SET application_name = 'pooled'");
        var workers = Executors.newFixedThreadPool(8);
        List<Future<Object>> answers = new ArrayList<>();
        for (int number = 0; number < 40; number++) {
            answers.add(workers.submit(() -> {
                try (Connection lent = pool.getConnection()) {
                    lent.setReadOnly(true);
                    lent.setAutoCommit(false);
                    return rows(lent, "SELECT ssn, current_setting('application_name') FROM people WHERE id = ?", 1).get(0);
                }
            }));
        }
        for (Future<Object> answer : answers) equal(answer.get(), List.of(ssn, "pooled"));
        workers.shutdown();
        pool.close();
    }

    static void errorsSayNothing() throws Exception {
        fails("42703", () -> rows("SELECT nothing FROM people"));
        try {
            show(rows("SELECT ssn::int4 FROM people WHERE id = ?", 1));
            throw new AssertionError("no error");
        } catch (PSQLException error) {
            equal(error.getSQLState(), "22P02");
            if (masked) show(error.getServerErrorMessage().toString());
        }
    }

    static void notifications() throws SQLException {
        equal(rows("SELECT pg_backend_pid()"), List.of(List.of(connection.unwrap(PGConnection.class).getBackendPID())));
        run("LISTEN news");
        try (Connection other = connect("")) {
            rows(other, "SELECT pg_notify('news', 'hello')");
        }
        var heard = connection.unwrap(PGConnection.class).getNotifications(20_000);
        equal(List.of(heard[0].getName(), heard[0].getParameter()), List.of("news", "hello"));
        run("UNLISTEN *");
    }

    static List<List<Object>> rows(String text, Object... values) throws SQLException {
        return rows(connection, text, values);
    }

    static List<List<Object>> rows(Connection connection, String text, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(text)) {
            bind(connection, statement, values);
            return rows(statement.executeQuery());
        }
    }

    static List<List<Object>> rows(ResultSet found) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        int columns = found.getMetaData().getColumnCount();
        while (found.next()) {
            List<Object> row = new ArrayList<>();
            for (int column = 1; column <= columns; column++) row.add(found.getObject(column));
            rows.add(row);
        }
        found.close();
        return rows;
    }

    static void run(String text, Object... values) throws SQLException {
        run(connection, text, values);
    }

    static void run(Connection connection, String text, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(text)) {
            bind(connection, statement, values);
            statement.execute();
        }
    }

    static void bind(Connection connection, PreparedStatement statement, Object[] values) throws SQLException {
        for (int at = 0; at < values.length; at++) {
            if (values[at] instanceof Integer[]) statement.setArray(at + 1, connection.createArrayOf("int4", (Object[]) values[at]));
            else if (values[at] instanceof String[]) statement.setArray(at + 1, connection.createArrayOf("text", (Object[]) values[at]));
            else statement.setObject(at + 1, values[at]);
        }
    }

    static <T> T show(T value) {
        System.out.println("received " + String.valueOf(value).replace("\n", "\\n"));
        return value;
    }

    static void equal(Object found, Object wanted) {
        show(found);
        if (!Objects.equals(found, wanted)) throw new AssertionError(found + " is not " + wanted);
    }

    static void fails(String code, Callable<?> work) throws Exception {
        try {
            show(work.call());
        } catch (SQLException error) {
            show(error.getMessage());
            equal(error.getSQLState(), code);
            return;
        }
        throw new AssertionError("no error");
    }
}
