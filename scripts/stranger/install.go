// Package stranger verifies what Waybill sends with implementations that are not Waybill's: the npm packages of Standard Webhooks and
// Svix, one of HTTP Message Signatures, and Node's own Ed25519.
package stranger

import (
	"context"
	"embed"
	"io/fs"

	"waybill/scripts/npm"
)

// files are the program and the packages that it needs, at versions that the lock file pins.
//
//go:embed testdata/package.json testdata/package-lock.json testdata/verify.mjs
var files embed.FS

// Install makes the program ready in a folder of the checkout and returns the folder.
func Install(ctx context.Context, checkout string) (string, error) {
	content, err := fs.Sub(files, "testdata")
	if err != nil {
		return "", err
	}
	return npm.Set{Name: "stranger", For: "verify signatures", Files: content}.Install(ctx, checkout)
}
