package browser

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/chromedp/chromedp"
)

// Browser is one process of Chromium. It is talked to through a pipe, so no port of the machine is open meanwhile, and it ends with us.
type Browser struct {
	ctx    context.Context
	cancel context.CancelFunc
	axe    string
}

// Start starts a Chromium without a window. The checkout has axe-core, as Install put it there.
func Start(checkout string) (*Browser, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	axe, err := axeCore(context.Background(), checkout)
	if err != nil {
		return nil, err
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("disable-component-update", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to sandbox for root
	}
	ctx, cancelProcess := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	b := &Browser{ctx: ctx, axe: axe, cancel: func() { cancelBrowser(); cancelProcess() }}
	if err := chromedp.Do(ctx); err != nil {
		b.cancel()
		return nil, err
	}
	return b, nil
}

// Close ends the process and removes its profile.
func (b *Browser) Close() error {
	err := chromedp.Cancel(b.ctx)
	b.cancel()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
