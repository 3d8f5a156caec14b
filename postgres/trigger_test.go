package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/store"
)

// A trigger publishes what its arguments name of the changed rows, old and new.
func TestPublishChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`CREATE TABLE stock (id int, tenant text, "Shelf no" text, price numeric(9, 2), note json)`)
	for _, test := range []struct {
		when, args string
		query      string
		tenant     string
		data       string
		attributes string
	}{
		{"INSERT", `'acme', 'a', 'shelf=Shelf no, id', 'n=id,new.price, note'`, `INSERT INTO stock VALUES (1, 'x', 'A', 1.50, '{"k" :1e2}')`,
			"acme", `{"n":1,"price":1.50,"note":{"k" :1e2}}`, `{"shelf":"A","id":"1"}`},
		{"INSERT", `'new.tenant', 'a', 'Shelf no'`, `INSERT INTO stock VALUES (1, 'x', NULL, NULL)`,
			"x", `{"id":1,"tenant":"x","Shelf no":null,"price":null,"note":null}`, `{}`},
		{"UPDATE", `'old.tenant', 'a', '', ' from = old.id , to = new.id '`, `UPDATE stock SET id = 2, tenant = 'y'`,
			"x", `{"from":1,"to":2}`, `{}`},
		{"DELETE", `'acme', 'a', 'id', 'tenant, old.price'`, `DELETE FROM stock`, "acme", `{"tenant":"x","price":1}`, `{"id":"1"}`},
		{"DELETE", `'acme', 'a', ''`, `DELETE FROM stock`, "acme", `{"id":1,"tenant":"x","Shelf no":"","price":1.00,"note":null}`, `{}`},
	} {
		b.exec(`INSERT INTO stock VALUES (1, 'x', '', 1)`)
		b.exec(`CREATE TRIGGER t AFTER ` + test.when + ` ON stock FOR EACH ROW EXECUTE FUNCTION publish_changes(` + test.args + `)`)
		b.exec(test.query)
		b.exec(`DROP TRIGGER t ON stock`)
		var got struct {
			Tenant     string `db:"tenant_id"`
			Data       string `db:"data"`
			Attributes string `db:"attributes"`
		}
		require.NoError(t, b.db.Get(&got, `DELETE FROM outbox RETURNING tenant_id, data, attributes`))
		require.Equal(t, test.tenant, got.Tenant, test.args)
		require.JSONEq(t, test.data, got.Data, test.args)
		require.Equal(t, test.attributes, got.Attributes, test.args)
		if test.when == "INSERT" && test.tenant == "acme" {
			require.Equal(t, test.data, got.Data, "in its order, and numbers and JSON as written")
		}
		b.exec(`DELETE FROM stock`)
	}
	require.Zero(t, b.count(`SELECT count(*) FROM outbox`))
}

// A trigger that cannot say what it should undoes the change, rather than leave it unreported.
func TestPublishChanges_Wrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`CREATE TABLE stock (id int)`)
	for trigger, want := range map[string]string{
		`AFTER INSERT ON stock FOR EACH ROW EXECUTE FUNCTION publish_changes('acme', 'a', '', 'n=idd')`:      `no column "n=idd"`,
		`AFTER INSERT ON stock FOR EACH ROW EXECUTE FUNCTION publish_changes('acme', 'a', 'old.id')`:         `no column "old.id"`,
		`AFTER INSERT ON stock FOR EACH ROW EXECUTE FUNCTION publish_changes('new.tenant', 'a', '')`:         `no column "tenant=new.tenant"`,
		`AFTER INSERT ON stock FOR EACH ROW EXECUTE FUNCTION publish_changes('acme', 'a', '', 'a=b=c')`:      `no column "a=b=c"`,
		`BEFORE INSERT ON stock FOR EACH ROW EXECUTE FUNCTION publish_changes('acme', 'a', '')`:              `AFTER ... FOR EACH ROW`,
		`AFTER INSERT ON stock FOR EACH STATEMENT EXECUTE FUNCTION publish_changes('acme', 'a', '')`:         `AFTER ... FOR EACH ROW`,
		`AFTER INSERT ON stock FOR EACH ROW EXECUTE FUNCTION publish_changes('acme')`:                        `AFTER ... FOR EACH ROW`,
		`AFTER INSERT ON stock FOR EACH ROW EXECUTE FUNCTION publish_changes('acme', 'a', '', 'id', 'more')`: `AFTER ... FOR EACH ROW`,
	} {
		b.exec(`CREATE TRIGGER t ` + trigger)
		_, err := b.db.Exec(`INSERT INTO stock VALUES (1)`)
		require.ErrorContains(t, err, want, trigger)
		b.exec(`DROP TRIGGER t ON stock`)
	}
	require.Zero(t, b.count(`SELECT count(*) FROM stock`))
	require.Equal(t, store.Ingested{}, b.drain())
}

// Nothing that a row contains undoes the change that it reports, whichever way its column is named: as part of the whole
// row, as a member of data, as an attribute, as the tenant. What cannot be read is put aside with the reason.
func TestPublishChanges_EveryType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`
		CREATE TYPE mood AS ENUM ('fine', 'it''s "bad"');
		CREATE TYPE pair AS (a int, b json);
		CREATE TYPE raising AS ENUM ('x');
		CREATE FUNCTION raise(raising) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE 'no JSON of this'; END $$;
		CREATE CAST (raising AS json) WITH FUNCTION raise(raising);
		CREATE TYPE asserting AS ENUM ('x');
		CREATE FUNCTION assert_not(asserting) RETURNS json LANGUAGE plpgsql AS $$ BEGIN ASSERT false, 'no JSON of this'; END $$;
		CREATE CAST (asserting AS json) WITH FUNCTION assert_not(asserting);
		CREATE DOMAIN json_domain AS json;
		CREATE DOMAIN positive AS int CHECK (value > 0)`)
	const unreadable = "cannot be read: "
	for _, test := range []struct {
		column, value string
		attribute     string // its text; "-": none; unreadable: the row is put aside
	}{
		{"boolean", "true", "true"}, {"smallint", "-32768", "-32768"}, {"bigint", "9223372036854775807", "9223372036854775807"}, {"oid", "4294967295", "4294967295"},
		{"int", "NULL", "-"}, {"positive", "1", "1"}, {"numeric", "'NaN'", "NaN"}, {"numeric", "'-Infinity'", "-Infinity"}, {"numeric", "1e400", ""},
		{"real", "'NaN'", "NaN"}, {"double precision", "'Infinity'", "Infinity"}, {"double precision", "0.1", "0.1"}, {"money", "12.5", "$12.50"},
		{"text", `'{not json'`, "{not json"}, {"text", `E'\x01\x1f\n"\\'`, "\x01\x1f\n\"\\"}, {"text", "repeat('x', 300000)", ""}, {"text", "repeat('x', 9000000)", ""},
		{"varchar(3)", "'abc'", "abc"}, {"char(3)", "'a'", "a  "}, {"name", "'a'", "a"}, {`"char"`, "'a'", "a"},
		{"bytea", `'\x0001ff'`, `\x0001ff`}, {"uuid", "'9b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13'", "9b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13"},
		{"timestamptz", "'infinity'", "infinity"}, {"timestamptz", "'-infinity'", "-infinity"}, {"timestamptz", "'0044-03-15 12:00:00 BC'", ""},
		{"timestamptz", "'294276-12-31 23:59:59.999999Z'", "294276-12-31T23:59:59.999999+00:00"}, {"timestamptz", "'2026-05-27 16:32:00+02'", "2026-05-27T14:32:00+00:00"},
		{"timestamp", "'2026-05-27 14:32'", "2026-05-27T14:32:00"}, {"date", "'infinity'", "infinity"}, {"date", "'5874897-12-31'", "5874897-12-31"},
		{"time", "'24:00'", "24:00:00"}, {"timetz", "'12:00+02'", "12:00:00+02"}, {"interval", "'1 year -2 days 03:04:05.6'", "1 year -2 days +03:04:05.6"},
		{"json", `'{ "a" : 1e2, "a" : 2 }'`, `{ "a" : 1e2, "a" : 2 }`}, {"json", "'null'", "-"}, {"json", `'"text"'`, "text"}, {"json", "' 12 '", ""},
		{"json", `'"\u0000"'`, unreadable}, {"json", `'"\ud800"'`, unreadable}, {"json", `'{"a": "\u0000"}'`, ""}, {"json", "(repeat('[', 5000) || repeat(']', 5000))::json", ""},
		{"json_domain", `'"\u0000"'`, unreadable}, {"jsonb", `'{"a": [1, null]}'`, `{"a": [1, null]}`}, {"jsonb", "'1e400'", ""},
		{"json[]", `ARRAY['"\u0000"', '{}']::json[]`, ""}, {"int[]", "'{{1,2},{3,NULL}}'", "[[1,2],[3,null]]"}, {"text[]", `ARRAY['a"b', NULL, '']`, `["a\"b",null,""]`},
		{"pair", `ROW(1, '"\u0000"')`, ""}, {"pair", "ROW(1, '2')", `{"a":1,"b":2}`}, {"pair[]", "ARRAY[ROW(1, NULL)]::pair[]", `[{"a":1,"b":null}]`},
		{"mood", `'it''s "bad"'`, `it's "bad"`}, {"xml", `'<a b="c">&amp;</a>'`, `<a b="c">&amp;</a>`},
		{"inet", "'::1/64'", "::1/64"}, {"macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03"}, {"bit varying", "B'101'", "101"}, {"pg_lsn", "'16/B374D848'", "16/B374D848"},
		{"point", "'(1,2)'", "(1,2)"}, {"box", "'(0,0),(1,1)'", ""}, {"int4range", "'[1,5)'", "[1,5)"}, {"int4multirange", "'{[1,2),[3,4)}'", "{[1,2),[3,4)}"},
		{"tsvector", "'a:1 b'", ""}, {"jsonpath", "'$.a'", `$."a"`}, {"raising", "'x'", unreadable}, {"asserting", "'x'", unreadable},
	} {
		b.exec(`CREATE TABLE of_type (id int, v ` + test.column + `)`)
		for args, quarantined := range map[string]string{
			`'acme', 'a', ''`:              "data ",
			`'acme', 'a', '', 'id'`:        "never",
			`'acme', 'a', '', 'v'`:         "data ",
			`'acme', 'a', 'v=new.v', 'id'`: "the attributes ",
			`'new.v', 'a', '', 'id'`:       "the tenant ",
		} {
			b.exec(`CREATE TRIGGER t AFTER INSERT ON of_type FOR EACH ROW EXECUTE FUNCTION publish_changes(` + args + `)`)
			what := test.column + " " + test.value + ": " + args
			if len(what) > 200 {
				what = what[:200]
			}
			b.exec(`INSERT INTO of_type VALUES (7, ` + test.value + `)`)
			require.Equal(t, 1, b.count(`SELECT count(*) FROM outbox`), what)
			if test.attribute != "" && test.attribute != unreadable && test.attribute != "-" && quarantined == "the attributes " {
				var attribute string
				require.NoError(t, b.db.Get(&attribute, `SELECT attributes ->> 'v' FROM outbox`), what)
				require.Equal(t, test.attribute, attribute, what)
			}
			out := b.drain()
			require.Equal(t, 1, out.Settled(), what)
			if quarantined == "never" {
				require.Equal(t, 1, out.Published, "%s: a column that is not named does not matter", what)
			}
			if test.attribute == unreadable && (quarantined == "the attributes " || quarantined == "the tenant ") {
				require.Equal(t, 1, out.Quarantined, what)
				row := b.quarantined(store.Page{Limit: 1})[0]
				require.Contains(t, row.Reason, quarantined+unreadable, what)
				require.True(t, row.Cut)
			}
			b.exec(`DROP TRIGGER t ON of_type; DELETE FROM of_type; DELETE FROM outbox_quarantine; DELETE FROM events`)
		}
		b.exec(`DROP TABLE of_type`)
	}
}

// The published data does not depend on the settings of the session that changes the table.
func TestPublishChanges_SettingsOfTheSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`
		CREATE TABLE moments (at timestamptz, span interval, day date, n double precision, raw bytea);
		CREATE TRIGGER t AFTER INSERT ON moments FOR EACH ROW EXECUTE FUNCTION publish_changes('acme', 'a', 'at, span, day, n, raw')`)
	const insert = `INSERT INTO moments VALUES ('2026-05-27T14:32:00.5Z', '1 day 2 hours', '2026-05-27', 0.1, '\x00ff')`
	conn, err := b.db.Connx(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	for _, settings := range []string{
		`SELECT`, `SET timezone = 'Asia/Tokyo'; SET datestyle = 'German, DMY'; SET intervalstyle = 'iso_8601'; SET extra_float_digits = -10; SET bytea_output = 'escape'`,
	} {
		_, err := conn.ExecContext(t.Context(), settings)
		require.NoError(t, err)
		_, err = conn.ExecContext(t.Context(), insert)
		require.NoError(t, err)
		var row struct{ Data, Attributes string }
		require.NoError(t, b.db.Get(&row, `DELETE FROM outbox RETURNING data, attributes`))
		require.JSONEq(t, `{"at":"2026-05-27T14:32:00.5+00:00","span":"1 day 02:00:00","day":"2026-05-27","n":0.1,"raw":"\\x00ff"}`, row.Data, settings)
		require.JSONEq(t, `{"at":"2026-05-27T14:32:00.5+00:00","span":"1 day 02:00:00","day":"2026-05-27","n":"0.1","raw":"\\x00ff"}`, row.Attributes, settings)
	}
	var zone string
	require.NoError(t, conn.GetContext(t.Context(), &zone, `SHOW timezone`))
	require.Equal(t, "Asia/Tokyo", zone, "the session keeps its own")
	_, err = conn.ExecContext(t.Context(), `RESET ALL`)
	require.NoError(t, err)
}
