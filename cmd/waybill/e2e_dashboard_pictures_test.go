package main_test

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// documentation is the value of WAYBILL_TEST_PICTURES that makes the pictures of the documents.
const documentation = "docs"

// documented are the pages that docs/dashboard.md shows, by the name of their path, and what their pictures are called.
var documented = map[string]string{
	"shop": "overview", "shop-endpoints": "endpoints", "shop-endpoints-good": "endpoint", "shop-new-endpoint": "new-endpoint",
	"shop-endpoints-good-test-result": "endpoint-test", "shop-endpoints-bad": "endpoint-disabled", "shop-endpoints-good-recover": "recover",
	"shop-recoveries-running": "recovery", "shop-deliveries": "deliveries", "shop-deliveries-failed": "delivery",
	"shop-deliveries-delivered-attempts-attempt-signature": "signature", "shop-events": "events", "shop-events-event": "event",
	"shop-publish": "publish", "shop-event-types": "event-types", "shop-event-types-order-confirmed": "event-type", "shop-keys": "keys",
	"shop-new-portal-link": "portal-link", "shop-audit": "audit", "shop-settings": "settings", "tenants": "tenants", "instance": "instance",
	"quarantine": "quarantine", "shop-endpoints-good-secret": "secret",
}

// fewColors writes a picture with the 256 colors that it has most, which makes the file of a page a third as large.
func fewColors(t *testing.T, picture []byte) []byte {
	t.Helper()
	whole, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	count := map[color.RGBA]int{}
	b := whole.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[color.RGBAModel.Convert(whole.At(x, y)).(color.RGBA)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colors[:min(len(colors), 256)] {
		palette = append(palette, c)
	}
	small := image.NewPaletted(b, palette)
	draw.Draw(small, b, whole, b.Min, draw.Src)
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small))
	return out.Bytes()
}
