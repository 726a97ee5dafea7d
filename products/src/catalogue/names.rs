//! What the samples are called, and how their prices look.

/// What a name is made of: the things of one category and the range of their prices in cents.
pub const CATEGORIES: [(&str, [&str; 5], u64, u64); 8] = [
    (
        "Kitchen",
        [
            "Chef's Knife",
            "Mixing Bowl",
            "Kettle",
            "Cutting Board",
            "Pepper Mill",
        ],
        799,
        8999,
    ),
    (
        "Lighting",
        [
            "Desk Lamp",
            "Floor Lamp",
            "Pendant Light",
            "Lantern",
            "Reading Light",
        ],
        1499,
        24999,
    ),
    (
        "Furniture",
        ["Chair", "Bookcase", "Side Table", "Bench", "Wardrobe"],
        3999,
        149_999,
    ),
    (
        "Books",
        ["Notebook", "Cookbook", "Atlas", "Field Guide", "Diary"],
        499,
        5999,
    ),
    (
        "Garden",
        [
            "Watering Can",
            "Trowel",
            "Planter",
            "Hose Reel",
            "Bird Feeder",
        ],
        599,
        12999,
    ),
    (
        "Audio",
        [
            "Headphones",
            "Bookshelf Speaker",
            "Turntable",
            "Microphone",
            "Radio",
        ],
        1999,
        89999,
    ),
    (
        "Clothing",
        ["Rain Jacket", "Wool Scarf", "Work Gloves", "Cap", "Apron"],
        899,
        19999,
    ),
    (
        "Decoration",
        [
            "Picture Frame",
            "Vase",
            "Wall Clock",
            "Candle Holder",
            "Mirror",
        ],
        399,
        29999,
    ),
];

pub const STYLES: [&str; 12] = [
    "Classic", "Compact", "Foldable", "Handmade", "Large", "Light", "Modern", "Nordic", "Plain",
    "Rustic", "Small", "Sturdy",
];

pub const MATERIALS: [&str; 10] = [
    "Ash", "Bamboo", "Canvas", "Ceramic", "Copper", "Cork", "Glass", "Oak", "Steel", "Walnut",
];

/// How prices end, as they do in shops.
pub const PRICE_ENDINGS: [u64; 6] = [99, 95, 50, 49, 90, 0];
