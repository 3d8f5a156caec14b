package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"waybill/store"
)

// made is what a POST made, as its answer shows it.
type made struct {
	// status is that of the answer; 0: 201.
	status int
	// location is the path of what was made; "": it has none.
	location string
	// etag is the ETag; "": it has none.
	etag string
	view any
}

// firstAnswer is an answer as a repetition gets it.
type firstAnswer struct {
	Status   int    `json:"status,omitempty"`
	Location string `json:"location,omitempty"`
	ETag     string `json:"etag,omitempty"`
	Body     []byte `json:"body"`
}

// creation is what a POST is about to make.
type creation struct {
	// show describes what was made. It is called once, when do's call has made it, at the latest inside of its transaction.
	show func() (made, error)
	// do makes one call of the store, with the store.Once that it is given; nil: there is no key.
	do func(*store.Once) error
}

func answerOf(show func() (made, error)) (*firstAnswer, error) {
	m, err := show()
	if err != nil {
		return nil, err
	}
	body, err := marshal(m.view)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return &firstAnswer{Status: m.status, Location: m.location, ETag: m.etag, Body: body}, nil
}

func (a *firstAnswer) write(w http.ResponseWriter) {
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
	}
	if a.ETag != "" {
		w.Header().Set("ETag", a.ETag)
	}
	writeBody(w, cmp.Or(a.Status, http.StatusCreated), "application/json", a.Body)
}

// create answers a POST that makes something, and makes it repeatable by its Idempotency-Key: the same request with the same key
// within store.OnceFor gets the first answer again, byte for byte, with a header that says so; another one gets
// CodeIdempotencyConflict. in is the decoded request. plan checks it against the clock and against what is stored; a repetition is
// answered before that, because both may have changed since. It is the same whoever holds what was made by now: that may be changed or
// deleted.
func (s *Server) create(w http.ResponseWriter, r *http.Request, c *call, in any, plan func() (*creation, error)) error {
	var planned *creation
	var first *firstAnswer
	once, err := s.once(r, c, in, func() (_ []byte, err error) {
		if first, err = answerOf(planned.show); err != nil {
			return nil, err
		}
		return json.Marshal(first)
	})
	if err != nil {
		return err
	}
	err = s.store.LookOnce(r.Context(), once)
	if err == nil {
		planned, err = plan()
	}
	if err == nil {
		err = planned.do(once)
	}
	var again *store.Repetition
	if errors.As(err, &again) {
		return repeatAnswer(w, again)
	}
	if err != nil {
		return err
	}
	s.opts.Failpoint("after-create")
	if first == nil {
		if first, err = answerOf(planned.show); err != nil {
			return err
		}
	}
	first.write(w)
	return nil
}

func repeatAnswer(w http.ResponseWriter, again *store.Repetition) error {
	var first firstAnswer
	if err := json.Unmarshal(again.Answer, &first); err != nil {
		return errors.New("the stored answer of an Idempotency-Key is not readable") // the decoder's error could quote a secret
	}
	w.Header().Set("Idempotent-Replayed", "true")
	first.write(w)
	return nil
}

// once returns the store.Once of a request; nil: it has no Idempotency-Key. The digest names the caller, so that nobody gets a
// secret that was made for somebody else.
func (s *Server) once(r *http.Request, c *call, in any, answer func() ([]byte, error)) (*store.Once, error) {
	key, err := idempotencyKey(r)
	if err != nil || key == "" {
		return nil, err
	}
	request, err := marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	if portal := c.portal(); portal != nil { // another customer of the tenant may use the same key
		key = portal.LinkID.String() + "\x00" + key
	}
	once := &store.Once{
		Scope: c.tenantID(),
		Hash:  sha256.Sum256([]byte(r.URL.Path + "\x00" + key)), Digest: sha256.Sum256(append([]byte(c.name()+"\x00"), request...)), Answer: answer,
	}
	if c.tenant != nil {
		once.Scope = c.tenant.ID
	}
	return once, nil
}
