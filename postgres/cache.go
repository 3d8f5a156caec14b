package postgres

import (
	"math/rand/v2"

	"github.com/maypok86/otter/v2"

	"waybill/webhook"
)

// Limits of the caches, without bodies.
const (
	maxSubscriptions = 200_000
	maxReceivers     = 20_000
	maxSenders       = 10_000
	maxTypeBytes     = 16 << 20
)

// A version is never made a second time, so that an entry of the first cannot count for the second: a standby that takes over may not have
// the latest version, which somebody has seen, and the id of an erased tenant is free for another. So a version is ahead of the one before
// by a number at random.
const versionStep = `1 + (random() * 1e9)::bigint`

func nextVersion(version int64) int64 { return version + 1 + rand.Int64N(1e9) }

// caches keep rows that were read before. An entry counts only if it has the version that the present call has read from
// the database. Bodies of events need no version, because they never change.
type caches struct {
	bodies      *otter.Cache[webhook.EventKey, sentEvent]
	subscribers *otter.Cache[string, *subscribers]       // by tenant
	senders     *otter.Cache[string, *sender]            // by tenant
	receivers   *otter.Cache[receiverVersion, *receiver] // by endpoint and version
	types       *otter.Cache[knownType, *webhook.OwnType]
}

// sentEvent is what every attempt of an event sends.
type sentEvent struct {
	body        webhook.Body
	traceparent webhook.Traceparent
}

// subscribers are what Accept needs of a tenant: its endpoints, without what is sealed.
type subscribers struct {
	tenant    *webhook.Tenant
	endpoints []webhook.Endpoint
	retries   map[webhook.EndpointID]*webhook.RetryPolicy
	// err says that the tenant or one of its endpoints cannot be read; then nothing else counts, and it is in no cache.
	err error
}

// sender is a tenant with its secrets.
type sender struct {
	tenant *webhook.Tenant
	keys   webhook.SigningKeys
}

type receiverVersion struct {
	id      webhook.EndpointID
	version int64
}

// receiver is an endpoint with its secrets.
type receiver struct {
	endpoint  *webhook.Endpoint
	deleted   bool
	ownSecret bool // false: the tenant's secrets sign
	keys      webhook.SigningKeys
}

// signs returns the secrets that sign for the endpoint of a tenant.
func (r *receiver) signs(from *sender) webhook.SigningKeys {
	if r.ownSecret {
		return r.keys
	}
	return from.keys
}

// entryOverhead is the approximate memory of an entry without its bytes.
const entryOverhead = 200

func newCaches(bodyBytes int) caches {
	return caches{
		bodies: otter.Must(&otter.Options[webhook.EventKey, sentEvent]{
			MaximumWeight: uint64(bodyBytes),
			Weigher:       func(_ webhook.EventKey, e sentEvent) uint32 { return uint32(len(e.body.Bytes) + entryOverhead) },
		}),
		subscribers: otter.Must(&otter.Options[string, *subscribers]{
			MaximumWeight: maxSubscriptions,
			Weigher:       func(_ string, s *subscribers) uint32 { return uint32(1 + len(s.endpoints)) },
		}),
		senders: otter.Must(&otter.Options[string, *sender]{MaximumSize: maxSenders}),
		types: otter.Must(&otter.Options[knownType, *webhook.OwnType]{
			MaximumWeight: maxTypeBytes,
			Weigher: func(k knownType, own *webhook.OwnType) uint32 {
				if own == nil {
					return uint32(entryOverhead + len(k.name))
				}
				return uint32(2*entryOverhead + len(k.name) + len(own.Schema))
			},
		}),
		receivers: otter.Must(&otter.Options[receiverVersion, *receiver]{MaximumSize: maxReceivers}),
	}
}
