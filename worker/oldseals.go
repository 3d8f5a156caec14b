package worker

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// oldSeals exports what is sealed with other encryption keys than the first.
type oldSeals struct {
	gauge *prometheus.GaugeVec
}

func newOldSeals() *oldSeals {
	return &oldSeals{prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "waybill_sealed_with_old_key",
		Help: "Values that are sealed with another encryption key than the first, by its id, counted every ten minutes. A key with 0 may be removed.",
	}, []string{"key"})}
}

// count forgets the keys that are neither configured nor in use any more.
func (o *oldSeals) count(ctx context.Context, store UpkeepStore) error {
	counts, err := store.OldSeals(ctx)
	if err != nil {
		return err
	}
	o.gauge.Reset()
	for key, n := range counts {
		o.gauge.WithLabelValues(key).Set(float64(n))
	}
	return nil
}
