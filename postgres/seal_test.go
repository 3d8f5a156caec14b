package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func testKey(id string, first byte) Key { return Key{ID: id, Key: [32]byte{first}} }

func TestKeyring_SealsAndOpens(t *testing.T) {
	t.Parallel()
	k, err := newKeyring([]Key{testKey("k1", 1)})
	require.NoError(t, err)
	at := location{"endpoints.secret_sealed", "ep_1"}
	one, two := k.seal([]byte("whsec_secret"), at), k.seal([]byte("whsec_secret"), at)
	require.NotEqual(t, one, two, "each has its own nonce")
	require.NotContains(t, string(one), "secret")
	plain, err := k.open(one, at)
	require.NoError(t, err)
	require.Equal(t, "whsec_secret", string(plain))

	require.Nil(t, k.seal(nil, at))
	plain, err = k.open(nil, at)
	require.NoError(t, err)
	require.Nil(t, plain)
}

func TestKeyring_RefusesWhatWasMoved(t *testing.T) {
	t.Parallel()
	k, err := newKeyring([]Key{testKey("k1", 1)})
	require.NoError(t, err)
	sealed := k.seal([]byte("whsec_secret"), location{"endpoints.secret_sealed", "ep_1"})
	for _, elsewhere := range []location{
		{"endpoints.secret_sealed", "ep_2"}, {"endpoints.headers_sealed", "ep_1"}, {"tenants.secret_sealed", "ep_1"},
		{"endpoints.secret_sealedep", "_1"},
	} {
		_, err := k.open(sealed, elsewhere)
		require.ErrorContains(t, err, "does not open", "%v", elsewhere)
		require.NotContains(t, err.Error(), "whsec")
	}
}

func TestKeyring_RefusesWhatWasChanged(t *testing.T) {
	t.Parallel()
	k, err := newKeyring([]Key{testKey("k1", 1)})
	require.NoError(t, err)
	at := location{"tenants.secret_sealed", "acme"}
	sealed := k.seal([]byte("whsec_secret"), at)
	for i := range sealed {
		changed := append([]byte{}, sealed...)
		changed[i] ^= 1
		_, err := k.open(changed, at)
		require.Error(t, err, "byte %d", i)
	}
	for n := range sealed {
		_, err := k.open(sealed[:n], at)
		require.Error(t, err, "%d bytes", n)
	}
}

func TestKeyring_Rotation(t *testing.T) {
	t.Parallel()
	at := location{"tenants.secret_sealed", "acme"}
	before, err := newKeyring([]Key{testKey("k1", 1)})
	require.NoError(t, err)
	both, err := newKeyring([]Key{testKey("k2", 2), testKey("k1", 1)})
	require.NoError(t, err)
	after, err := newKeyring([]Key{testKey("k2", 2)})
	require.NoError(t, err)

	old := before.seal([]byte("whsec_secret"), at)
	plain, err := both.open(old, at)
	require.NoError(t, err)
	require.Equal(t, "whsec_secret", string(plain))
	_, err = after.open(old, at)
	require.ErrorContains(t, err, `"k1", which is not configured`)

	plain, err = after.open(both.seal([]byte("whsec_new"), at), at)
	require.NoError(t, err, "the first key seals")
	require.Equal(t, "whsec_new", string(plain))
}

func TestNewKeyring_Refuses(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]Key{
		"none": nil, "no id": {testKey("", 1)}, "the same id": {testKey("k1", 1), testKey("k1", 2)},
		"a long id": {testKey(string(make([]byte, 65)), 1)},
	} {
		_, err := newKeyring(keys)
		require.Error(t, err, name)
	}
}
