package httpapi

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pyro-sandbox/pyro/api"
)

// metrics are what a server counts. Labels have few values: none is chosen by a client.
type metrics struct {
	requests   *prometheus.CounterVec
	took       *prometheus.HistogramVec
	workspaces *prometheus.GaugeVec
	page       http.Handler
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyro_http_requests_total", Help: "Requests that were answered.",
		}, []string{"route", "method", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pyro_http_request_duration_seconds", Help: "Time from a request to the end of its answer; that of a stream is its life.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"route"}),
		workspaces: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pyro_workspaces", Help: "Workspaces, by state; one-shot ones are left out.",
		}, []string{"state"}),
	}
	busy := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pyro_http_requests_in_flight", Help: "Requests that are being answered, streams included.",
	}, func() float64 { return float64(s.busy.Load()) })
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pyro_build_info", Help: "1, with the version as a label.",
		ConstLabels: prometheus.Labels{"version": s.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.requests, m.took, busy, build, m.workspaces, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.page = promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, DisableCompression: true})
	return m
}

func (m *metrics) count(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, methodOf(method), strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(route).Observe(took.Seconds())
}

// scrapeTime bounds reading the records of all workspaces.
const scrapeTime = 10 * time.Second

// serveMetrics counts workspaces when it is asked. Where they cannot be counted, the rest is
// told without them.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
	defer cancel()
	list, err := s.Client.List(ctx)
	if err != nil {
		s.metrics.workspaces.Reset()
		s.Log.Warn("workspaces cannot be counted", "error", err)
	} else {
		count := map[api.State]int{api.StateCreated: 0, api.StateStarted: 0, api.StateStopped: 0, api.StateBroken: 0}
		for _, one := range list.Workspaces {
			count[one.State]++
		}
		for state, n := range count {
			s.metrics.workspaces.WithLabelValues(string(state)).Set(float64(n))
		}
	}
	s.metrics.page.ServeHTTP(w, r)
}
