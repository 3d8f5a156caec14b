package stack

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Secret returns the secret kept in a file that only its owner can read, and makes it on first use.
func Secret(path string, generate func() string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		if secret := strings.TrimSpace(string(data)); secret != "" {
			return secret, nil
		}
		return "", fmt.Errorf("%s is empty: remove it to have a new one made", path)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	secret := generate()
	if err := writeWhole(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep a secret: %w", err)
	}
	return secret, nil
}

// newHexKey returns 32 random bytes in hex, safe in a URL, a header and a shell.
func newHexKey() string { return hex.EncodeToString(randomKey()) }

// newEncryptionKey returns a key in the form of WAYBILL_ENCRYPTION_KEYS: its id and 32 random bytes.
func newEncryptionKey() string { return "k1:" + base64.StdEncoding.EncodeToString(randomKey()) }

func randomKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: it ends the program rather than return weak bytes
	return key
}
