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
