package main_test

import (
	"os"
	"path/filepath"
	"sync"

	hooks "waybill/scripts/receiver"
)

// theAuthority is the certificate authority of this run, for receivers on the loopback addresses.
var theAuthority = sync.OnceValues(hooks.NewAuthority)

// writeAuthority writes the authority's certificate into a folder and returns the file.
func writeAuthority(dir string) (string, error) {
	a, err := theAuthority()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "ca.pem")
	return file, os.WriteFile(file, a.PEM(), 0o600)
}
