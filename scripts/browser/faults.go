package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// watch hears what the browser tells of a tab. Its methods are called from the goroutine that reads from the browser and must not wait.
type watch struct {
	origin string

	mu      sync.Mutex
	faults  []string
	loading bool
	pages   map[string]bool // requests of whole pages, whose refusals are pages too
	bytes   float64
}

func (w *watch) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			w.fault("the console: %s", arguments(e.Args))
		}
	case *runtime.EventExceptionThrown:
		w.fault("an exception: %s", exceptionText(e.ExceptionDetails))
	case *log.EventEntryAdded:
		w.logged(e.Entry)
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			told, _ := json.Marshal(e.Issue.Details.ContentSecurityPolicyIssueDetails) // what came as JSON
			w.fault("the policy for content was violated: %s", told)
		}
	case *network.EventRequestWillBeSent:
		w.requested(e)
	case *network.EventLoadingFinished:
		w.bytes += e.EncodedDataLength
	case *page.EventFrameStartedNavigating, *page.EventFrameRequestedNavigation, *page.EventFrameStartedLoading:
		w.loading = true
	case *page.EventFrameStoppedLoading:
		w.loading = false
	}
}

// fault notes what is wrong. The caller holds the lock.
func (w *watch) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// logged judges a line of the browser's log. That a whole page was answered with an error status is no fault: a refused form is a page.
func (w *watch) logged(e *log.Entry) {
	if e.Level != log.EntryLevelError && e.Level != log.EntryLevelWarning {
		return
	}
	if e.Source == log.EntrySourceNetwork && w.pages[string(e.NetworkRequestID)] {
		return
	}
	w.fault("the browser's log: %s %s", e.Text, e.URL)
}

func (w *watch) requested(e *network.EventRequestWillBeSent) {
	if e.Type == network.ResourceTypeDocument {
		w.pages[string(e.RequestID)] = true
	}
	at := e.Request.URL
	// A data URL asks nobody: the browser's own fields have pictures that are written so.
	if at != "about:blank" && at != w.origin && !strings.HasPrefix(at, w.origin+"/") && !strings.HasPrefix(at, "data:") {
		w.fault("a request to elsewhere: %s", at)
	}
}

func arguments(args []*runtime.RemoteObject) string {
	var said []string
	for _, arg := range args {
		if said = append(said, string(arg.Value)); len(arg.Value) == 0 {
			said[len(said)-1] = arg.Description
		}
	}
	return strings.Join(said, " ")
}

func exceptionText(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return d.Text
}
