package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

//go:embed assets/*.css assets/*.js assets/*.svg
var assetFiles embed.FS

// asset is a file that pages load, as it is and compressed.
type asset struct {
	url         string
	contentType string
	plain, gzip []byte
}

// assets are found by their names. Their addresses contain a hash of the content, so that browsers may keep them for ever.
type assets struct {
	byName map[string]*asset
	byURL  map[string]*asset
}

var contentTypes = map[string]string{
	"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
}

func readAssets() assets {
	found := assets{byName: map[string]*asset{}, byURL: map[string]*asset{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		panic(err) // they are in the binary
	}
	for _, entry := range entries {
		content, err := fs.ReadFile(assetFiles, "assets/"+entry.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		_, extension, _ := strings.Cut(entry.Name()[strings.LastIndex(entry.Name(), "."):], ".")
		a := &asset{
			url: "/assets/" + hex.EncodeToString(sum[:6]) + "/" + entry.Name(), contentType: contentTypes[extension],
			plain: content, gzip: compress(content),
		}
		found.byName[entry.Name()], found.byURL[a.url] = a, a
	}
	return found
}

func compress(content []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level exists
	if _, err := z.Write(content); err != nil {
		panic(err) // memory does not fail
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// url returns the address of an asset. A name that does not exist is a fault of a template, which the tests find.
func (a assets) url(name string) string {
	found := a.byName[name]
	if found == nil {
		panic("dashboard: there is no asset " + name)
	}
	return found.url
}

// ServeHTTP answers with an asset.
func (a assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found := a.byURL[r.URL.Path]
	if found == nil {
		http.NotFound(w, r) // a page of an earlier version asks; its next load gets the new addresses
		return
	}
	h := w.Header()
	h.Set("Content-Type", found.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	body := found.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = found.gzip
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the browser may have gone
	}
}
