package postgres

import (
	"context"
	"maps"
	"slices"

	"waybill/webhook"
)

// keySamples is how many values of a table are tried: a single one may be damaged.
const keySamples = 5

// selectSealedWith reads some values of a sealedColumn that begin with the header of a key.
const selectSealedWith = `
	SELECT %[3]s AS row, %[2]s AS sealed FROM %[1]s WHERE substring(%[2]s FROM 1 FOR octet_length($1::bytea)) = $1 LIMIT $2`

// CheckKeys answers CodeInvalid when one of Options.Keys opens none of the signing secrets that were sealed under its id: it is another
// key than the one that sealed them. What such a key seals, the right one would not open. CodeUnavailable too.
func (s *Store) CheckKeys(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(s.keys.aeads)) {
		opened, closed := 0, 0
		for _, c := range sealedColumns {
			if c.column != "secret_sealed" {
				continue
			}
			var found []struct {
				Row    string
				Sealed []byte
			}
			if err := s.list(ctx, &found, c.sql(selectSealedWith), s.keys.header(id), keySamples); err != nil {
				return failed("check the encryption keys", err)
			}
			for _, f := range found {
				if _, err := s.keys.open(f.Sealed, location{c.String(), f.Row}); err != nil {
					closed++
					continue
				}
				opened++
			}
		}
		if opened == 0 && closed > 0 {
			return webhook.Errorf(webhook.CodeInvalid, "the key %q is another one than the key of that id which sealed what is in the database: give the key from before, "+
				"and a new one under another id", id)
		}
	}
	return nil
}
