package activities

import (
	"cmp"
	"log/slog"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"waybill/tracing"
	"waybill/webhook"
)

// Defaults of Options.
const (
	DefaultFastWait       = 250 * time.Millisecond
	DefaultIsolatedWait   = 5 * time.Second
	DefaultRecordTimeout  = 10 * time.Second
	DefaultHeartbeatEvery = 5 * time.Second
)

// Options are the dependencies and the settings of Activities. Store, Queues, Engine, Transport and Dialects are required.
type Options struct {
	Store     Store
	Queues    Queues
	Engine    Engine
	Transport *Transport
	// Recoveries moves recoveries on; nil: there are none.
	Recoveries Recoveries
	// Erasures deletes the rows of tenants; nil: EraseTenant cannot run.
	Erasures Erasures
	// Dialects are all dialects that tenants may have, by name.
	Dialects map[string]*webhook.Dialect

	// Failpoint is called at "before-post", "after-response" (before the record), "after-record" (before the return),
	// "before-auto-disable" (after the record of the failure that disables the endpoint) and "short-delay" (before a delay that passes
	// inside a workflow task), for tests that kill the process there.
	Failpoint func(name string)
	// Logger gets what goes wrong; nil: nothing is logged.
	Logger *slog.Logger
	// Registerer registers the metrics; nil: they are not exported.
	Registerer prometheus.Registerer
	// Tracer starts the spans of attempts; nil: there are none.
	Tracer *tracing.Tracer
	// Now is the clock and NewUUID makes UUIDv7s; nil: time.Now and uuid.NewV7.
	Now     func() time.Time
	NewUUID func() [16]byte

	// FastLimit and IsolatedLimit are how many attempts an endpoint may have in flight in this process, per lane; 0:
	// DefaultFastLimit and DefaultIsolatedLimit.
	FastLimit     int
	IsolatedLimit int
	// FastWait is how long an attempt waits for a slot in the fast lane of a healthy endpoint before it is spilled, and
	// IsolatedWait how long it waits in the isolated lane before it is delayed; 0: DefaultFastWait and DefaultIsolatedWait.
	FastWait     time.Duration
	IsolatedWait time.Duration
	// Queue is the task queue of this process alone. Follow runs there and returns the result of an attempt that takes
	// longer than Patience (0: DefaultPatience). Empty: a workflow task waits until its attempts end.
	Queue    string
	Patience time.Duration
	// RecordTimeout is how long an attempt that was made waits for a database that is down; 0: DefaultRecordTimeout.
	RecordTimeout time.Duration
	// ShortDelays is how many delays may pass inside workflow tasks at the same time; 0: DefaultShortDelays.
	ShortDelays int
	// WideBegins and WideEnds are how many attempts of wide events work at the same time before their requests and after; 0: 2 and 8 for
	// each processor.
	WideBegins, WideEnds int
	// HeartbeatEvery is the time between heartbeats of an isolated attempt, well under the activity's heartbeat timeout; 0:
	// DefaultHeartbeatEvery.
	HeartbeatEvery time.Duration
	// DrainTime is how long a drain begins attempts, and DrainPoll how often it looks for what has become due; 0: DefaultDrainTime
	// and DefaultDrainPoll.
	DrainTime, DrainPoll time.Duration
}

// Activities are the methods that Register registers with a worker. They are safe for concurrent use.
type Activities struct {
	store      Store
	queues     Queues
	recoveries Recoveries
	erasures   Erasures
	engine     Engine
	transport  *Transport
	tokens     *tokens
	dialects   map[string]*webhook.Dialect
	bulkhead   *bulkhead
	metrics    *metrics
	tracer     *tracing.Tracer
	failpoint  func(name string)
	log        *slog.Logger
	now        func() time.Time
	newUUID    func() [16]byte

	queue          string
	patience       time.Duration
	inFlight       *inFlight
	shortDelays    chan struct{}
	wideBegins     place
	wideEnds       place
	wakes          *wakes
	recordTimeout  time.Duration
	heartbeatEvery time.Duration

	drainTime, drainPoll time.Duration
}

// New returns Activities. Registering the metrics twice with one Registerer panics.
func New(o Options) *Activities {
	o.setDefaults()
	return &Activities{
		store:      o.Store,
		queues:     o.Queues,
		recoveries: o.Recoveries,
		erasures:   o.Erasures,
		engine:     o.Engine,
		transport:  o.Transport,
		tokens:     newTokens(o.Transport, o.Now),
		dialects:   o.Dialects,
		bulkhead: newBulkhead(
			laneLimit{o.FastLimit, o.FastWait, fastQueue}, laneLimit{o.IsolatedLimit, o.IsolatedWait, o.IsolatedLimit}, o.Now),
		metrics:        newMetrics(o.Registerer),
		tracer:         o.Tracer,
		failpoint:      o.Failpoint,
		log:            o.Logger,
		now:            o.Now,
		newUUID:        o.NewUUID,
		queue:          o.Queue,
		patience:       o.Patience,
		inFlight:       newInFlight(),
		shortDelays:    make(chan struct{}, o.ShortDelays),
		wideBegins:     make(place, o.WideBegins),
		wideEnds:       make(place, o.WideEnds),
		wakes:          newWakes(o.Engine, o.Now),
		recordTimeout:  o.RecordTimeout,
		heartbeatEvery: o.HeartbeatEvery,
		drainTime:      o.DrainTime,
		drainPoll:      o.DrainPoll,
	}
}

func (o *Options) setDefaults() {
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewUUID == nil {
		o.NewUUID = func() [16]byte { return uuid.Must(uuid.NewV7()) }
	}
	o.FastLimit = cmp.Or(o.FastLimit, DefaultFastLimit)
	o.IsolatedLimit = cmp.Or(o.IsolatedLimit, DefaultIsolatedLimit)
	o.FastWait = cmp.Or(o.FastWait, DefaultFastWait)
	o.IsolatedWait = cmp.Or(o.IsolatedWait, DefaultIsolatedWait)
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	o.RecordTimeout = cmp.Or(o.RecordTimeout, DefaultRecordTimeout)
	o.ShortDelays = cmp.Or(o.ShortDelays, DefaultShortDelays)
	o.WideBegins = cmp.Or(o.WideBegins, wideBeginsEach*runtime.GOMAXPROCS(0))
	o.WideEnds = cmp.Or(o.WideEnds, wideEndsEach*runtime.GOMAXPROCS(0))
	o.HeartbeatEvery = cmp.Or(o.HeartbeatEvery, DefaultHeartbeatEvery)
	o.DrainTime = cmp.Or(o.DrainTime, DefaultDrainTime)
	o.DrainPoll = cmp.Or(o.DrainPoll, DefaultDrainPoll)
}
