// The order service in Go, for make bench to compare with: Gin, GORM v1 on pgx, and redigo, from
// Debian's packages. The same calls and the same checks, without idempotency, events, counters, log
// lines or retries: what is compared is the platform.
//
// Environment: DATABASE_URL, REDIS_URL, PRODUCT_SERVICE_URL and LISTEN, all required.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gomodule/redigo/redis"
	_ "github.com/jackc/pgx/v4/stdlib"
	"github.com/jinzhu/gorm"
)

const poolSize = 32

func setting(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatalf("%s is not set", name)
	}
	return value
}

func openDB(url string) (*gorm.DB, error) {
	// GORM v1's Postgres dialect on the pgx driver, which keeps a cache of prepared
	// statements per connection, as GORM v2 has it by default.
	db, err := gorm.Open("postgres", "pgx", url)
	if err != nil {
		return nil, err
	}
	db.LogMode(false) // errors are logged by the handlers
	db.DB().SetMaxOpenConns(poolSize)
	db.DB().SetMaxIdleConns(poolSize)
	db.DB().SetConnMaxLifetime(30 * time.Minute)
	return db, nil
}

func openCache(url string) *redis.Pool {
	return &redis.Pool{
		MaxIdle:     poolSize,
		IdleTimeout: 4 * time.Minute,
		Dial: func() (redis.Conn, error) {
			return redis.DialURL(url,
				redis.DialConnectTimeout(time.Second),
				redis.DialReadTimeout(time.Second),
				redis.DialWriteTimeout(time.Second))
		},
		TestOnBorrow: func(c redis.Conn, idleSince time.Time) error {
			if time.Since(idleSince) < time.Minute {
				return nil
			}
			_, err := c.Do("PING")
			return err
		},
	}
}

func main() {
	db, err := openDB(setting("DATABASE_URL"))
	if err != nil {
		log.Fatalf("database: %v", err)
	}
	defer db.Close()
	pool := openCache(setting("REDIS_URL"))
	defer pool.Close()

	api := &api{
		store:    &store{db: db},
		cache:    &orderCache{pool: pool},
		products: newProducts(strings.TrimRight(setting("PRODUCT_SERVICE_URL"), "/")),
	}

	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(gin.Recovery())
	router.GET("/health", api.health)
	router.POST("/api/orders", api.createOrder)
	router.GET("/api/orders", api.listOrders)
	router.GET("/api/orders/:id", api.getOrder)
	router.PATCH("/api/orders/:id/status", api.updateStatus)
	router.GET("/api/users/:user_id/orders", api.listUserOrders)

	server := &http.Server{
		Addr:              setting("LISTEN"),
		Handler:           router,
		ReadHeaderTimeout: 5 * time.Second,
	}
	stopped := make(chan struct{})
	go func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		<-signals
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		close(stopped)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-stopped
}
