// pgx: prepares what it runs, binary wherever a type has it, and cancels by closing the connection.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgconn/stmtcache"
	"github.com/jackc/pgtype"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var (
	masked = os.Args[1] == "masked"
	ssn    = map[bool]string{false: "top-secret", true: "[masked]"}[masked]
	conn   *pgx.Conn
)

type step struct {
	name string
	run  func(context.Context)
}

func main() {
	var err error
	conn, err = pgx.Connect(context.Background(), "")
	check(err)
	steps := []step{
		{"query", query}, {"simple protocol", simpleProtocol}, {"statement cache", statementCache},
		{"described", described}, {"prepared", prepared}, {"binary round trip", binaryRoundTrip},
		{"batch", batch}, {"error in a batch", errorInABatch}, {"copy", copies}, {"failed copy", failedCopy},
		{"savepoints", savepoints}, {"large object", largeObject}, {"cancellation", cancellation},
		{"deadline", deadline}, {"pool", pool}, {"errors", errorsSayNothing},
	}
	if !masked {
		steps = append(steps, step{"notifications", notifications})
	}
	failed := 0
	for _, step := range steps {
		if err := attempt(step.run); err != nil {
			failed = 1
			fmt.Println("FAILED", step.name, err)
		} else {
			fmt.Println("ok    ", step.name)
		}
	}
	os.Exit(failed)
}

func attempt(run func(context.Context)) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer func() {
		if found := recover(); found != nil {
			err = fmt.Errorf("%v", found)
		}
	}()
	run(ctx)
	return nil
}

func query(ctx context.Context) {
	var id int
	var name, told string
	check(conn.QueryRow(ctx, "SELECT id, name, ssn FROM people ORDER BY id").Scan(&id, &name, &told))
	equal([]interface{}{id, name, told}, []interface{}{1, "ada", ssn})
	check(conn.QueryRow(ctx, "SELECT ssn FROM people WHERE id = $1", 1).Scan(&told))
	equal(told, ssn)
	equal(ids(conn.Query(ctx, "SELECT id FROM people WHERE ssn = $1", "top-secret")), map[bool][]int32{false: {1}}[masked])
	equal(ids(conn.Query(ctx, "SELECT id FROM people WHERE id = ANY($1) ORDER BY id", []int32{1, 2, 9})), []int32{1, 2})
}

func simpleProtocol(ctx context.Context) {
	var told string
	check(conn.QueryRow(ctx, "SELECT ssn FROM people WHERE id = $1", pgx.QuerySimpleProtocol(true), 1).Scan(&told))
	equal(told, ssn)
	results, err := conn.PgConn().Exec(ctx, "SELECT 1; SELECT 2").ReadAll()
	check(err)
	equal(len(results), 2)
}

// More texts than the cache has room for, each several times.
func statementCache(ctx context.Context) {
	config, err := pgx.ParseConfig("")
	check(err)
	config.BuildStatementCache = func(conn *pgconn.PgConn) stmtcache.Cache {
		return stmtcache.New(conn, stmtcache.ModePrepare, 8)
	}
	other, err := pgx.ConnectConfig(ctx, config)
	check(err)
	defer other.Close(ctx)
	for round := 0; round < 3; round++ {
		for number := 0; number < 30; number++ {
			var found int
			var told string
			text := fmt.Sprintf("SELECT $1::int4 + %d, ssn FROM people WHERE id = 1", number)
			check(other.QueryRow(ctx, text, round).Scan(&found, &told))
			equal([]interface{}{found, told}, []interface{}{round + number, ssn})
		}
	}
}

// Statements that are described once and then sent without a name, as before a pooler.
func described(ctx context.Context) {
	config, err := pgx.ParseConfig("statement_cache_mode=describe")
	check(err)
	other, err := pgx.ConnectConfig(ctx, config)
	check(err)
	defer other.Close(ctx)
	for number := 0; number < 20; number++ {
		var told string
		check(other.QueryRow(ctx, "SELECT ssn FROM people WHERE id = $1", 1).Scan(&told))
		equal(told, ssn)
	}
}

func prepared(ctx context.Context) {
	statement, err := conn.Prepare(ctx, "of people", "SELECT id, ssn FROM people WHERE id = $1")
	check(err)
	names := []string{}
	for _, field := range statement.Fields {
		names = append(names, string(field.Name))
	}
	equal(names, []string{"id", "ssn"})
	equal(statement.ParamOIDs, []uint32{pgtype.Int4OID})
	for number := 0; number < 20; number++ {
		var id int
		var told string
		check(conn.QueryRow(ctx, "of people", 1).Scan(&id, &told))
		equal(told, ssn)
	}
	check(conn.Deallocate(ctx, "of people"))
}

func binaryRoundTrip(ctx context.Context) {
	exec(ctx, "DELETE FROM things")
	id := [16]byte{0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11}
	at := time.Date(2024, 2, 29, 12, 30, 15, 123456000, time.UTC)
	raw := []byte{0, 255, 1}
	exec(ctx, "INSERT INTO things (id, number, doc, tags, at, raw) VALUES ($1, $2, $3, $4, $5, $6)",
		id, 7, map[string]interface{}{"a": 1.5, "ü": "é"}, []string{"x", "y,z", `"`}, at, raw)
	rows, err := conn.Query(ctx, "SELECT id, number, doc, tags, at, raw FROM things", pgx.QueryResultFormats{1, 1, 1, 1, 1, 1})
	check(err)
	defer rows.Close()
	if !rows.Next() {
		panic(fmt.Sprint("no row ", rows.Err()))
	}
	var (
		foundID  [16]byte
		number   int
		doc      map[string]interface{}
		tags     []string
		foundAt  time.Time
		foundRaw []byte
	)
	check(rows.Scan(&foundID, &number, &doc, &tags, &foundAt, &foundRaw))
	equal([]interface{}{foundID, number, doc, tags, foundAt.UTC(), foundRaw},
		[]interface{}{id, 7, map[string]interface{}{"a": 1.5, "ü": "é"}, []string{"x", "y,z", `"`}, at, raw})
}

func batch(ctx context.Context) {
	exec(ctx, "DELETE FROM things")
	work := &pgx.Batch{}
	for number := 0; number < 200; number++ {
		work.Queue("INSERT INTO things (id, number) VALUES (gen_random_uuid(), $1)", number)
		work.Queue("SELECT $1::int4, ssn FROM people WHERE id = 1", number)
	}
	results := conn.SendBatch(ctx, work)
	for number := 0; number < 200; number++ {
		tag, err := results.Exec()
		check(err)
		equal(tag.String(), "INSERT 0 1")
		var found int
		var told string
		check(results.QueryRow().Scan(&found, &told))
		equal([]interface{}{found, told}, []interface{}{number, ssn})
	}
	check(results.Close())
	equal(count(ctx), 200)
}

// What is queued in one batch is one transaction.
func errorInABatch(ctx context.Context) {
	exec(ctx, "DELETE FROM things")
	work := &pgx.Batch{}
	work.Queue("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 1)")
	work.Queue("SELECT 1 / (SELECT count(*) - 1 FROM things)")
	work.Queue("INSERT INTO things (id, number) VALUES (gen_random_uuid(), 2)")
	results := conn.SendBatch(ctx, work)
	_, err := results.Exec()
	check(err)
	_, err = results.Exec()
	fails(err, "22012")
	_, err = results.Exec()
	fails(err, "22012")
	fails(results.Close(), "22012")
	equal(count(ctx), 0)
}

func copies(ctx context.Context) {
	exec(ctx, "DELETE FROM things")
	// binary, since pgx knows the columns' types
	copied, err := conn.CopyFrom(ctx, pgx.Identifier{"things"}, []string{"id", "number"}, pgx.CopyFromSlice(3000, func(n int) ([]interface{}, error) {
		return []interface{}{[16]byte{byte(n), byte(n >> 8)}, n}, nil
	}))
	check(err)
	equal(copied, int64(3000))
	equal(count(ctx), 3000)
	var told bytes.Buffer
	_, err = conn.PgConn().CopyTo(ctx, &told, "COPY people (id, ssn) TO STDOUT (FORMAT csv)")
	check(err)
	second := map[bool]string{false: "top-secret-2", true: ssn}[masked]
	equal(told.String(), "1,"+ssn+"\n2,"+second+"\n")
	_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\t5\n"), "COPY things (id, number) FROM STDIN")
	check(err)
	equal(count(ctx), 3001)
}

func failedCopy(ctx context.Context) {
	_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("not a uuid\n"), "COPY things (id) FROM STDIN")
	fails(err, "22P02")
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"things"}, []string{"id"}, pgx.CopyFromSlice(1, func(int) ([]interface{}, error) {
		return nil, errors.New("changed my mind")
	}))
	if err == nil {
		panic("no error")
	}
	show(err.Error())
	exec(ctx, "SELECT 1")
}

func savepoints(ctx context.Context) {
	exec(ctx, "DELETE FROM things")
	outer, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	check(err)
	_, err = outer.Exec(ctx, "INSERT INTO things (id, number) VALUES (gen_random_uuid(), 1)")
	check(err)
	inner, err := outer.Begin(ctx)
	check(err)
	_, err = inner.Exec(ctx, "INSERT INTO things (id, number) VALUES (gen_random_uuid(), 2)")
	check(err)
	_, err = inner.Exec(ctx, "SELECT 1/0")
	fails(err, "22012")
	_, err = inner.Exec(ctx, "SELECT 1")
	fails(err, "25P02")
	check(inner.Rollback(ctx))
	_, err = outer.Exec(ctx, "INSERT INTO things (id, number) VALUES (gen_random_uuid(), 3)")
	check(err)
	check(outer.Commit(ctx))
	equal(ids(conn.Query(ctx, "SELECT number FROM things ORDER BY 1")), []int32{1, 3})
}

// Only inside a transaction, and by functions of SQL.
func largeObject(ctx context.Context) {
	work, err := conn.Begin(ctx)
	check(err)
	defer work.Rollback(ctx)
	objects := work.LargeObjects()
	oid, err := objects.Create(ctx, 0)
	if masked {
		refused(err)
		return
	}
	check(err)
	object, err := objects.Open(ctx, oid, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
	check(err)
	written := bytes.Repeat([]byte{0, 1, 254, 255}, 50_000)
	n, err := object.Write(written)
	check(err)
	equal(n, len(written))
	at, err := object.Seek(-4, io.SeekEnd)
	check(err)
	equal(at, int64(len(written)-4))
	_, err = object.Seek(0, io.SeekStart)
	check(err)
	found, err := io.ReadAll(object)
	check(err)
	equal(bytes.Equal(found, written), true)
	check(object.Truncate(3))
	check(object.Close())
	check(objects.Unlink(ctx, oid))
	check(work.Commit(ctx))
}

// A request to cancel, on a connection of its own.
func cancellation(ctx context.Context) {
	asked := make(chan error, 1)
	go func() {
		time.Sleep(500 * time.Millisecond)
		asked <- conn.PgConn().CancelRequest(ctx)
	}()
	began := time.Now()
	_, err := conn.Exec(ctx, "SELECT pg_sleep(30)")
	fails(err, "57014")
	// the statement may be told that it ended before whoever asked for it is told that it was asked for
	check(<-asked)
	equal(time.Since(began) < 20*time.Second, true)
	exec(ctx, "SELECT 1")
}

// A context that ends takes its connection along.
func deadline(ctx context.Context) {
	other, err := pgx.Connect(ctx, "")
	check(err)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err = other.Exec(short, "SELECT pg_sleep(30)"); err == nil {
		panic("no error")
	}
	show(err.Error())
	equal(other.IsClosed(), true)
	exec(ctx, "SET statement_timeout = '200ms'")
	_, err = conn.Exec(ctx, "SELECT pg_sleep(30)")
	fails(err, "57014")
	exec(ctx, "SET statement_timeout = 0")
}

func pool(ctx context.Context) {
	config, err := pgxpool.ParseConfig("pool_max_conns=4")
	check(err)
	pool, err := pgxpool.ConnectConfig(ctx, config)
	check(err)
	defer pool.Close()
	var all sync.WaitGroup
	found := make(chan string, 40)
	for number := 0; number < 40; number++ {
		all.Add(1)
		go func() {
			defer all.Done()
			var told string
			if err := pool.QueryRow(ctx, "SELECT ssn FROM people WHERE id = $1", 1).Scan(&told); err != nil {
				told = err.Error()
			}
			found <- told
		}()
	}
	all.Wait()
	close(found)
	for told := range found {
		equal(told, ssn)
	}
}

func errorsSayNothing(ctx context.Context) {
	_, err := conn.Exec(ctx, "SELECT nothing FROM people")
	fails(err, "42703")
	_, err = conn.Exec(ctx, "SELECT ssn::int4 FROM people WHERE id = $1", 1)
	var told *pgconn.PgError
	if !errors.As(err, &told) {
		panic(fmt.Sprint("no error of the database but ", err))
	}
	equal(told.Code, "22P02")
	if masked {
		show([]string{told.Message, told.Detail, told.Where})
	}
}

func notifications(ctx context.Context) {
	var pid uint32
	check(conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid))
	equal(conn.PgConn().PID(), pid)
	exec(ctx, "LISTEN news")
	other, err := pgx.Connect(ctx, "")
	check(err)
	_, err = other.Exec(ctx, "SELECT pg_notify('news', 'hello')")
	check(err)
	check(other.Close(ctx))
	heard, err := conn.WaitForNotification(ctx)
	check(err)
	equal([]string{heard.Channel, heard.Payload}, []string{"news", "hello"})
	exec(ctx, "UNLISTEN *")
}

func exec(ctx context.Context, text string, arguments ...interface{}) {
	_, err := conn.Exec(ctx, text, arguments...)
	check(err)
}

func count(ctx context.Context) (found int) {
	check(conn.QueryRow(ctx, "SELECT count(*) FROM things").Scan(&found))
	return found
}

func ids(rows pgx.Rows, err error) (found []int32) {
	check(err)
	defer rows.Close()
	for rows.Next() {
		var id int32
		check(rows.Scan(&id))
		found = append(found, id)
	}
	check(rows.Err())
	return found
}

func show(value interface{}) interface{} {
	fmt.Printf("received %q\n", fmt.Sprint(value))
	return value
}

func equal(found, wanted interface{}) {
	show(found)
	if !reflect.DeepEqual(found, wanted) {
		panic(fmt.Sprintf("%v is not %v", found, wanted))
	}
}

func fails(err error, code string) {
	var told *pgconn.PgError
	if !errors.As(err, &told) {
		panic(fmt.Sprintf("not %s but %v", code, err))
	}
	show([]string{told.Code, told.Message})
	if told.Code != code {
		panic(told.Code + " is not " + code)
	}
}

func refused(err error) {
	fails(err, "42501")
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
