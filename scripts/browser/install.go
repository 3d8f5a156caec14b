// Package browser opens pages in a real Chromium, as a person would, and tells what is wrong with them: what the console says, what the
// policy for content forbids, requests to anywhere else, and what axe-core finds.
package browser

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"waybill/scripts/debian"
	"waybill/scripts/npm"
)

// files pin axe-core.
//
//go:embed testdata/package.json testdata/package-lock.json
var files embed.FS

// names are what the browser is called by the packages of Linux, and where Apple's systems have it.
var names = []string{
	"chromium", "chromium-browser", "google-chrome-stable", "google-chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
}

// Find returns the path of a Chromium of this machine.
func Find() (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium found, in which the tests open the dashboard")
}

// Install makes Chromium and axe-core ready: it finds what is there, and takes Debian's package where the user is root. The checkout
// keeps axe-core.
func Install(ctx context.Context, checkout string) error {
	if _, missing := Find(); missing != nil {
		if !debian.MayInstall() {
			return fmt.Errorf("%w: install it with `sudo apt-get install chromium` or `brew install --cask chromium`, then run this again", missing)
		}
		if err := debian.Install(ctx, "chromium"); err != nil {
			return fmt.Errorf("install Chromium (try it by hand: apt-get install chromium): %w", err)
		}
		if _, err := Find(); err != nil {
			return err
		}
	}
	_, err := axeCore(ctx, checkout)
	return err
}

// axeCore returns the program that looks for pages that not everybody can use.
func axeCore(ctx context.Context, checkout string) (string, error) {
	content, err := fs.Sub(files, "testdata")
	if err != nil {
		return "", err
	}
	folder, err := npm.Set{Name: "browser", For: "examine pages", Files: content}.Install(ctx, checkout)
	if err != nil {
		return "", err
	}
	program, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
	return string(program), err
}
