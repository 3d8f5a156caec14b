package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"waybill/store"
)

// sealedColumn is a column whose values are sealed, and the SQL of the row that they are bound to: see location.
type sealedColumn struct{ table, column, row string }

// endpointLocation is location.row of a table whose primary key is an endpoint's.
const endpointLocation = `'ep_' || replace(id::text, '-', '')`

// sealedColumns are all columns that hold sealed values, of tables that have no partitions. What is not among them is lost when an
// old key is taken away, so a test holds them to the schema.
var sealedColumns = []sealedColumn{
	{"tenants", "secret_sealed", `id`},
	{"tenants", "previous_secret_sealed", `id`},
	{"endpoints", "secret_sealed", endpointLocation},
	{"endpoints", "previous_secret_sealed", endpointLocation},
	{"endpoints", "headers_sealed", endpointLocation},
	{"endpoints", "auth_sealed", endpointLocation},
	{"idempotency_keys", "answer_sealed", `scope || '/' || encode(hash, 'hex')`},
}

func (c sealedColumn) String() string { return c.table + "." + c.column }

// The statements of a sealedColumn read and write a range of pages of its table, which needs no index and holds for any table. $1
// and $2 are its ends, $3 is what a value under the first key begins with.
const (
	tablePages = `SELECT pg_relation_size(to_regclass($1)) / current_setting('block_size')::bigint`

	oldSeal = `%[2]s IS NOT NULL AND substring(%[2]s FROM 1 FOR octet_length($3::bytea)) <> $3 AND ctid >= $1::tid AND ctid < $2::tid`

	// selectOldSeals locks the rows: who changes one meanwhile has the last word.
	selectOldSeals = `SELECT ctid::text AS at, %[3]s AS row, %[2]s AS sealed FROM %[1]s WHERE ` + oldSeal + ` FOR NO KEY UPDATE`

	updateSeals = `
		UPDATE %[1]s SET %[2]s = n.sealed FROM unnest($1::tid[], $2::bytea[], $3::bytea[]) AS n (at, old, sealed)
		WHERE %[1]s.ctid = n.at AND %[1]s.%[2]s = n.old`

	// countOldSeals counts by the bytes of the key's id; what is no sealed value counts under none.
	countOldSeals = `
		SELECT CASE WHEN octet_length(%[2]s) > 2 THEN substring(%[2]s FROM 3 FOR get_byte(%[2]s, 1)) ELSE '' END AS key, count(*) AS n
		FROM %[1]s WHERE ` + oldSeal + ` GROUP BY 1`
)

func (c sealedColumn) sql(statement string) string {
	return fmt.Sprintf(statement, c.table, c.column, c.row)
}

const (
	// resealPages is how many pages of a table a transaction reseals: 128 KiB, some hundred rows.
	resealPages = 16
	countPages  = 4096
	// Passes over the tables. The first leave out rows that others have locked; the later ones wait for each a moment, lest a row that
	// is always in use never had its turn.
	resealPasses     = 5
	resealUnwaiting  = 3
	resealLockTime   = `SET LOCAL lock_timeout = '1s'`
	resealReportTime = 5 * time.Second
	// maxResealFailures is how many values that do not open are logged, each with its row.
	maxResealFailures = 20
)

// Reseal seals everything anew that is not sealed with the first of Options.Keys, in short transactions, while other processes go on.
// They must have all the keys already. It can be ended at any time and called again: it goes on with what is left. A value that does
// not open stays as it is and is counted and logged, its content never. What it says of its progress it logs. CodeUnavailable: the
// database cannot be reached; the counts tell how far it came.
func (s *Store) Reseal(ctx context.Context) (store.Resealed, error) {
	r := resealing{Store: s, reported: time.Now()}
	for pass := range resealPasses {
		r.wait = pass >= resealUnwaiting
		r.Failed = 0
		for _, c := range sealedColumns {
			if err := r.column(ctx, c); err != nil {
				return r.Resealed, failed("reseal "+c.String(), err)
			}
		}
		old, err := s.OldSeals(ctx)
		if err != nil {
			return r.Resealed, err
		}
		r.Left = -r.Failed
		for _, n := range old {
			r.Left += n
		}
		if r.Left <= 0 {
			r.Left = 0
			break
		}
	}
	return r.Resealed, nil
}

// resealing is one call of Reseal.
type resealing struct {
	*Store
	store.Resealed
	wait     bool
	reported time.Time
	logged   int
}

func (r *resealing) column(ctx context.Context, c sealedColumn) error {
	return r.eachPages(ctx, c, resealPages, func(from, until string, done int) error {
		err := r.transact(ctx, "reseal", func(tx *sqlx.Tx) error { return r.pages(ctx, tx, c, from, until) })
		if canWait(err) {
			err = nil // somebody has locked a row: the next pass or call finds it
		}
		r.opts.Failpoint("after-reseal")
		if err == nil && time.Since(r.reported) > resealReportTime {
			r.reported = time.Now()
			r.log.InfoContext(ctx, "resealing", "column", c.String(), "percent", done, "resealed", r.Resealed.Resealed)
		}
		return err
	})
}

// pages reseals the values of a range of pages.
func (r *resealing) pages(ctx context.Context, tx *sqlx.Tx, c sealedColumn, from, until string) error {
	query := c.sql(selectOldSeals)
	if r.wait {
		if _, err := tx.ExecContext(ctx, resealLockTime); err != nil {
			return err
		}
	} else {
		query += ` SKIP LOCKED`
	}
	var rows []struct {
		At, Row string
		Sealed  []byte
	}
	if err := tx.SelectContext(ctx, &rows, query, from, until, r.keys.header(r.keys.first)); err != nil {
		return err
	}
	var at pq.StringArray
	var old, sealed pq.ByteaArray
	for _, row := range rows {
		l := location{c.String(), row.Row}
		plain, err := r.keys.open(row.Sealed, l)
		if err != nil {
			r.unopened(ctx, err)
			continue
		}
		at, old, sealed = append(at, row.At), append(old, row.Sealed), append(sealed, r.keys.seal(plain, l))
	}
	if len(at) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, c.sql(updateSeals), at, old, sealed); err != nil {
		return err
	}
	r.Resealed.Resealed += len(at)
	return nil
}

// unopened counts a value that does not open. Its error names key, row and column.
func (r *resealing) unopened(ctx context.Context, err error) {
	r.Failed++
	if r.logged++; r.logged <= maxResealFailures {
		r.log.LogAttrs(ctx, slog.LevelError, "a value cannot be resealed", slog.Any("error", err))
	}
}

// eachPages calls do for the ranges of at most size pages of the column's table as it is now, with how much of it is done, in percent.
func (s *Store) eachPages(ctx context.Context, c sealedColumn, size int64, do func(from, until string, done int) error) error {
	var pages int64
	if err := s.get(ctx, &pages, tablePages, c.table); err != nil {
		return err
	}
	for from := int64(0); from < pages; from += size {
		until := min(from+size, pages)
		if err := do(fmt.Sprintf("(%d,0)", from), fmt.Sprintf("(%d,0)", until), int(100*until/pages)); err != nil {
			return err
		}
	}
	return nil
}

// OldSeals counts the values that are not sealed with the first of Options.Keys, by the id of their key: each key of Options.Keys but
// the first is in it, with 0 when it may be taken away, and so is a key that is not in Options.Keys and that something is sealed with.
// A value that was never sealed, or is damaged, counts under "". CodeUnavailable.
func (s *Store) OldSeals(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	for id := range s.keys.aeads {
		if id != s.keys.first {
			counts[id] = 0
		}
	}
	header := s.keys.header(s.keys.first)
	for _, c := range sealedColumns {
		err := s.eachPages(ctx, c, countPages, func(from, until string, _ int) error {
			var found []struct {
				Key []byte
				N   int
			}
			err := s.list(ctx, &found, c.sql(countOldSeals), from, until, header)
			for _, f := range found {
				key := string(f.Key)
				if !utf8.ValidString(key) { // of a damaged value; no metric could have it as a label
					key = ""
				}
				counts[key] += f.N
			}
			return err
		})
		if err != nil {
			return nil, failed("count what is sealed with old keys", err)
		}
	}
	return counts, nil
}
