package postgres

import (
	"time"

	"waybill/webhook"
)

// secretColumns are the signing secrets of a tenant or an endpoint.
const secretColumns = `secret_sealed, previous_secret_sealed, previous_until, secret_switch_at`

type secretsRow struct {
	Sealed         []byte     `db:"secret_sealed"`
	PreviousSealed []byte     `db:"previous_secret_sealed"`
	PreviousUntil  *time.Time `db:"previous_until"`
	SwitchAt       *time.Time `db:"secret_switch_at"`
}

// orNullEndpoint is the argument of a statement that takes null for no endpoint.
func orNullEndpoint(id webhook.EndpointID) any {
	if id.IsZero() {
		return nil
	}
	return id
}

// secretsOf is the table and the row of signing secrets.
type secretsOf struct{ table, row string }

func tenantSecrets(id string) secretsOf { return secretsOf{"tenants", id} }

func endpointSecrets(id webhook.EndpointID) secretsOf { return secretsOf{"endpoints", id.String()} }

func (o secretsOf) current() location { return location{o.table + ".secret_sealed", o.row} }

func (o secretsOf) previous() location { return location{o.table + ".previous_secret_sealed", o.row} }

func (s *Store) openSecret(sealed []byte, at location) (webhook.Secret, error) {
	text, err := s.keys.open(sealed, at)
	return webhook.SecretFromText(string(text)), err
}

// openKeys opens the row's secrets.
func (s *Store) openKeys(r *secretsRow, of secretsOf) (webhook.SigningKeys, error) {
	keys := webhook.SigningKeys{PreviousUntil: r.PreviousUntil, SwitchAt: r.SwitchAt}
	var err error
	if keys.Current, err = s.openSecret(r.Sealed, of.current()); err != nil {
		return webhook.SigningKeys{}, err
	}
	if keys.Previous, err = s.openSecret(r.PreviousSealed, of.previous()); err != nil {
		return webhook.SigningKeys{}, err
	}
	return keys, nil
}
