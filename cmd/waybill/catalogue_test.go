package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestLoadCatalogue(t *testing.T) {
	t.Parallel()
	c, err := loadCatalogue("")
	require.NoError(t, err)
	for name, types := range map[string]int{"standard": 0, "rheo": 4, "tradly": 14, "tradevine": 10, "auction-excellence": 17} {
		require.Len(t, c.dialects[name].EventTypes, types, name)
	}
}

// The operational events are those that Waybill publishes, each with an example that fits.
func TestLoadCatalogue_Operational(t *testing.T) {
	t.Parallel()
	c, err := loadCatalogue("")
	require.NoError(t, err)
	var types []string
	for _, e := range c.operational {
		types = append(types, e.Type)
		require.NotEmpty(t, e.Description)
		require.NoError(t, c.Validate(webhook.Operational, e.Type, e.Example.Data))
		require.Error(t, c.Validate(webhook.Operational, e.Type, []byte(`{}`)), e.Type)
		require.Error(t, c.Validate(webhook.Operational, e.Type, append(bytes.TrimSuffix(bytes.TrimSpace(e.Example.Data), []byte("}")), `,"more":1}`...)), e.Type)
	}
	require.Equal(t, webhook.OperationalTypes, types)
}

func TestCatalogue_Validate(t *testing.T) {
	t.Parallel()
	c, err := loadCatalogue("")
	require.NoError(t, err)
	require.NoError(t, c.Validate("standard", "anything.at_all", []byte(`1`)))
	require.NoError(t, c.Validate("tradly", "unknown.type", []byte(`{}`)))

	err = c.Validate("rheo", "item.sold", []byte(`{"externalId":"E","rheoItemId":"R","platform":"tradera","salePrice":"1100","currency":"SEK","traderaAdId":"1"}`))
	require.Equal(t, webhook.CodeSchemaViolation, webhook.ErrorCode(err))
	var violation *webhook.Error
	require.ErrorAs(t, err, &violation)
	require.Equal(t, "data/salePrice", violation.Fields[0].Field)
}

// An operator's folder adds dialects and replaces those of the same name.
func TestLoadCatalogue_Dir(t *testing.T) {
	t.Parallel()
	rheo, err := os.ReadFile("../../schemas/dialects/rheo.json")
	require.NoError(t, err)
	write := func(t *testing.T, name, text string) string {
		t.Helper()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		return dir
	}
	t.Run("replaces", func(t *testing.T) {
		t.Parallel()
		c, err := loadCatalogue(write(t, "rheo.json", strings.Replace(string(rheo), `"timeout": "10s"`, `"timeout": "7s"`, 1)))
		require.NoError(t, err)
		require.Equal(t, "7s", c.dialects["rheo"].Timeout.String())
	})
	for name, test := range map[string]struct{ file, text, wants string }{
		"not JSON":           {"mine.json", `{`, "mine.json"},
		"a misspelled field": {"rheo.json", strings.Replace(string(rheo), `"timeout"`, `"timout"`, 1), "timout"},
		"a bad value":        {"rheo.json", strings.Replace(string(rheo), `"timeout": "10s"`, `"timeout": "ten"`, 1), "timeout"},
		"another name":       {"mine.json", string(rheo), "mine.json: name"},
		"no file":            {"readme.txt", "", "no *.json file"},
		"a bad placeholder":  {"rheo.json", strings.Replace(string(rheo), `{signature}`, `{sig}`, 1), "{sig}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loadCatalogue(write(t, test.file, test.text))
			require.ErrorContains(t, err, test.wants)
			require.ErrorContains(t, err, "WAYBILL_DIALECTS_DIR")
		})
	}
}
