package postgres

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// Key is an AES-256 key. Its ID, 1 to 64 bytes, is stored with what the key sealed.
type Key struct {
	ID  string
	Key [32]byte
}

const (
	sealVersion = 1
	maxKeyID    = 64
)

// keyring seals with its first key and opens with any. A sealed value is a version byte, the length of the key's id, the
// id, and the output of AES-256-GCM: nonce, cipher text, tag. A key that a KMS keeps wrapped is a key like any other once it is
// unwrapped, so that it changes nothing here; another way to seal would be another version, and Reseal the way to it.
type keyring struct {
	first string
	aeads map[string]cipher.AEAD
}

func newKeyring(keys []Key) (*keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("an encryption key is needed: signing secrets are never stored as text")
	}
	k := &keyring{first: keys[0].ID, aeads: map[string]cipher.AEAD{}}
	for _, key := range keys {
		if key.ID == "" || len(key.ID) > maxKeyID {
			return nil, fmt.Errorf("the id of an encryption key is 1 to %d bytes long, not %q", maxKeyID, key.ID)
		}
		if _, twice := k.aeads[key.ID]; twice {
			return nil, fmt.Errorf("two encryption keys have the id %q", key.ID)
		}
		block, err := aes.NewCipher(key.Key[:])
		if err != nil {
			return nil, fmt.Errorf("encryption key %q: %w", key.ID, err)
		}
		if k.aeads[key.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("encryption key %q: %w", key.ID, err)
		}
	}
	return k, nil
}

// location says to which row and column a sealed value belongs. It is authenticated with the value, so that a value copied
// to another row or column does not open.
type location struct{ column, row string }

func (l location) bind(header []byte) []byte {
	bound := append([]byte{}, header...)
	bound = append(bound, l.column...)
	bound = append(bound, 0) // no column name contains a 0 byte
	return append(bound, l.row...)
}

// header is what a value begins with that the key sealed.
func (k *keyring) header(id string) []byte {
	return append([]byte{sealVersion, byte(len(id))}, id...)
}

// seal returns nil for an empty plain text.
func (k *keyring) seal(plain []byte, at location) []byte {
	if len(plain) == 0 {
		return nil
	}
	header := k.header(k.first)
	return k.aeads[k.first].Seal(header, nil, plain, at.bind(header))
}

// open returns nil for nil. Its errors name the key and the location, never the content.
func (k *keyring) open(sealed []byte, at location) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	if len(sealed) < 2 || sealed[0] != sealVersion || len(sealed) < 2+int(sealed[1]) {
		return nil, fmt.Errorf("%s of %s is not a sealed value", at.column, at.row)
	}
	header, rest := sealed[:2+int(sealed[1])], sealed[2+int(sealed[1]):]
	id := string(header[2:])
	aead, ok := k.aeads[id]
	if !ok {
		return nil, fmt.Errorf("%s of %s was sealed with the encryption key %q, which is not configured", at.column, at.row, id)
	}
	plain, err := aead.Open(nil, nil, rest, at.bind(header))
	if err != nil {
		return nil, fmt.Errorf("%s of %s does not open with the encryption key %q", at.column, at.row, id)
	}
	return plain, nil
}
