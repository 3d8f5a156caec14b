package engine

import (
	"context"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"waybill/workflows"
)

const (
	// PollAge is how old the last poll of a worker that is there may be: Temporal answers one after a minute at the latest. It notes the
	// end of a poll too, unless the connection is gone, so a worker that stands still is taken for one that is there for up to 135 s
	// (server 1.32, task_queue_partition_manager.go).
	PollAge = 75 * time.Second
	// widePolled is how long it is believed that a worker takes wide events, and wideUnpolled that none does.
	widePolled, wideUnpolled = 10 * time.Second, time.Second
	// describeTimeout keeps the start of an event from waiting for an answer that it can do without.
	describeTimeout = 2 * time.Second
)

// wideWorkers remembers whether a worker takes wide events.
type wideWorkers struct {
	// first is the first look.
	first sync.Once
	mu    sync.Mutex
	// until is when somebody looks again.
	until  time.Time
	absent bool
}

// wideQueue returns the task queue for a wide event. Workers of a version from before that queue do not poll it: then such an event is
// started like any other. When Temporal does not say, it is as it was.
func (c *Client) wideQueue(ctx context.Context) string {
	if c.opts.WorksWide {
		return c.opts.WideQueue
	}
	look := func() {
		if c.wide.mustLook() {
			c.lookForWideWorkers(ctx)
		}
	}
	c.wide.first.Do(look) // everybody waits for it: nothing is known to go by
	look()
	if c.wide.areAbsent() {
		return c.opts.TaskQueue
	}
	return c.opts.WideQueue
}

func (c *Client) lookForWideWorkers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	polled, err := c.isPolled(ctx, c.opts.WideQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		c.log.Debug("the workers of wide events cannot be looked for", "error", err)
		return
	}
	c.wide.know(polled)
}

// mustLook reports whether the caller must look whether there is a worker. Others go by what is known meanwhile.
func (w *wideWorkers) mustLook() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.until) {
		return false
	}
	w.until = now.Add(describeTimeout + wideUnpolled)
	return true
}

func (w *wideWorkers) know(polled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.absent, w.until = !polled, time.Now().Add(wideUnpolled)
	if polled {
		w.until = time.Now().Add(widePolled)
	}
}

func (w *wideWorkers) areAbsent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.absent
}

// Unattended returns the task queues that no worker has polled for PollAge, and how many there are that have to be. The queue of mails
// is not among them.
func (c *Client) Unattended(ctx context.Context) (unattended []string, of int, err error) {
	queues := []struct {
		name string
		kind enumspb.TaskQueueType
	}{
		{c.opts.TaskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW},
		{c.opts.WideQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW},
		{workflows.EndpointsQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW},
		{workflows.IsolatedQueue, enumspb.TASK_QUEUE_TYPE_ACTIVITY},
	}
	for _, q := range queues {
		polled, err := c.isPolled(ctx, q.name, q.kind)
		if err != nil {
			return nil, 0, translate("describe the task queue "+q.name, err)
		}
		if !polled {
			unattended = append(unattended, q.name)
		}
	}
	return unattended, len(queues), nil
}

func (c *Client) isPolled(ctx context.Context, queue string, kind enumspb.TaskQueueType) (bool, error) {
	described, err := c.temporal.DescribeTaskQueue(ctx, queue, kind)
	if err != nil {
		return false, err
	}
	oldest := time.Now().Add(-PollAge)
	for _, p := range described.GetPollers() {
		if p.GetLastAccessTime().AsTime().After(oldest) {
			return true, nil
		}
	}
	return false, nil
}
